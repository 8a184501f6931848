import type { Random } from '#std';

const SPREAD = 0.2;

/**
 * How long to wait before the next try, spread by up to a fifth so that those of an outage do not all come back at once.
 * @param delaysMs before the first retry, the second, …
 * @param tries that were made
 * @returns undefined when all have been made
 */
export function retryDelayMs(delaysMs: readonly number[], tries: number, random: Random): number | undefined {
  const delayMs = delaysMs[tries - 1];
  if (delayMs === undefined) return undefined;
  const drawn = Buffer.from(random(2)).readUInt16BE() / 0x1_00_00;
  return Math.round(delayMs * (1 + SPREAD * drawn));
}

const DAY_MS = 86_400_000;

/**
 * What a `Retry-After` says, a day at most; null where it says nothing that can be read.
 * https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function parseRetryAfter(header: string | readonly string[] | undefined, nowMs: number): number | null {
  const text = typeof header === 'string' ? header.trim() : '';
  const ms = /^\d{1,10}$/.test(text)
    ? Number(text) * 1_000
    : /^[A-Z][a-z]{2,8},? /.test(text)
      ? Date.parse(text) - nowMs
      : Number.NaN;
  return Number.isNaN(ms) ? null : Math.min(DAY_MS, Math.max(0, ms));
}
