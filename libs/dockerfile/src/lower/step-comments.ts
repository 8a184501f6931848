import { parseGoDuration } from '../go-duration.ts';
import { invalid } from '../invalid.ts';

/** What comments above a RUN say to Kiln, and to no other builder: `# kiln:ttl=24h`. */
export interface StepComments {
  /** what is older is not used */
  readonly ttlMs?: number | undefined;
  /** the values of the step's secrets count in its keys */
  readonly keyedSecrets: boolean;
}

const NS_PER_MS = 1e6;
const DAY_MS = 24 * 3_600_000;
const HINT = 'write # kiln:ttl=24h, # kiln:ttl=7d or # kiln:secrets=keyed';

/** Whether a comment is not for people alone. */
export function isForKiln(comment: string): boolean {
  return /^kiln:\S/.test(comment);
}

/** @throws KilnError DOCKERFILE_INVALID for words after `kiln:` that mean nothing */
export function stepComments(comments: readonly string[]): StepComments {
  let ttlMs: number | undefined;
  let keyedSecrets = false;
  for (const comment of comments) {
    if (!isForKiln(comment)) continue;
    const [, name, value = ''] = /^kiln:([a-z-]+)=(\S*)$/.exec(comment) ?? [];
    if (name === 'ttl') ttlMs = parseTtl(value);
    else if (name === 'secrets' && value === 'keyed') keyedSecrets = true;
    else throw invalid(`not understood: # ${comment}`, { hint: HINT });
  }
  return { ttlMs, keyedSecrets };
}

/** `90m`, `24h`, `7d`, `1d12h`. */
function parseTtl(text: string): number {
  const [, days = '0', rest = ''] = /^(?:(\d{1,4})d)?(.*)$/.exec(text) ?? [];
  const ttlMs = Number(days) * DAY_MS + (rest === '' && text !== '' ? 0 : parseGoDuration(rest) / NS_PER_MS);
  if (ttlMs >= 1) return Math.trunc(ttlMs);
  throw invalid(`a time to live has to be longer than nothing: ${JSON.stringify(text)}`, { hint: HINT });
}
