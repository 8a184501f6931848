import { existsSync, readFileSync } from 'node:fs';

/** In which an API says its version. */
export const VERSION_HEADER = 'kiln-version';

/** The version of this checkout; compiled, this file lies one directory deeper than its source. */
export function kilnVersion(): string {
  for (const up of ['../../../package.json', '../../../../package.json']) {
    const file = new URL(up, import.meta.url);
    const found = existsSync(file) ? /"version": "([^"]+)"/.exec(readFileSync(file, 'utf8')) : null;
    if (found?.[1] !== undefined) return found[1];
  }
  return 'unknown';
}
