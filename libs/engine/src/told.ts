import { withoutCredentials } from '#graph';
import type { SecretMask } from './secret-mask.ts';

/** What anybody may read of a text: neither values of secrets, nor user and password of a URL. */
export const toldText = (text: string, mask: SecretMask): string => withoutCredentials(mask.text(text));

/** A value in JSON: every text in it as {@link toldText} gives it, before JSON escapes it. */
export const toldJson = (value: unknown, mask: SecretMask): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? toldText(part, mask) : part));
