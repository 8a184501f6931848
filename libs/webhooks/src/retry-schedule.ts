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
