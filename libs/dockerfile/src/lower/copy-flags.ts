import { parseSymbolicMode } from '#graph';
import { invalid } from '../invalid.ts';

/** --chmod: bits, or a symbolic mode as it stands. @throws KilnError DOCKERFILE_INVALID */
export function parseMode(text: string): number | string {
  if (/^[0-7]{1,10}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  if (parseSymbolicMode(text) !== undefined) return text;
  throw invalid(`invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`, {
    hint: 'write it in octal, such as --chmod=755, or by letters, such as --chmod=u=rwX,go=rX',
  });
}

/** A linked copy reads no file of what it is put on, the accounts included. @throws KilnError DOCKERFILE_INVALID */
export function checkLinkedOwner(chown: string): void {
  if (/^(?:root|\d*)(?::(?:root|\d*))?$/.test(chown)) return;
  throw invalid(`--chown=${chown} with --link: only the copied files are there, and no accounts to look names up in`, {
    hint: 'give numbers, such as --chown=1000:1000, or leave --link out',
  });
}
