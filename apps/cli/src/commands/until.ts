import { usageError } from '../usage.ts';

const HINT = 'write until=24h, until=90m or until=2026-01-31';
const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * What `--filter` asks for: how long something must not have been used. As docker has it: a duration (`24h`, `1h30m`) or a
 * time. Of several the longest counts.
 */
export function unusedMs(filters: readonly string[], nowMs: number): number {
  let longest = 0;
  for (const filter of filters) {
    const [, key = filter, text = ''] = /^([^=]*)=(.*)$/.exec(filter) ?? [];
    if (key !== 'until') throw usageError(`--filter ${JSON.stringify(key)} is not supported`, HINT);
    longest = Math.max(longest, durationMs(text) ?? sinceMs(text, nowMs));
  }
  return longest;
}

function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?[smh])+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, number = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)([smh])/g))
    ms += Number(number) * (units[unit] ?? 0);
  return Math.round(ms);
}

function sinceMs(text: string, nowMs: number): number {
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs)) throw usageError(`--filter until is no duration and no time: ${JSON.stringify(text)}`, HINT);
  return Math.max(0, nowMs - atMs);
}
