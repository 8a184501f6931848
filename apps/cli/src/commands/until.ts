import { usageError } from '../usage.ts';

const hint = (key: string): string => `write ${key}=24h, ${key}=90m or ${key}=2026-01-31`;
const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * What `--filter` asks for: how long something must not have been used. As docker has it: a duration (`24h`, `1h30m`) or a
 * time. Of several the longest counts.
 */
export function unusedMs(filters: readonly string[], nowMs: number): number {
  let longest = 0;
  for (const filter of filters) {
    const [, key = filter, text = ''] = /^([^=]*)=(.*)$/.exec(filter) ?? [];
    if (key !== 'until') throw usageError(`--filter ${JSON.stringify(key)} is not supported`, hint('until'));
    longest = Math.max(longest, agoMs(text, nowMs, 'until'));
  }
  return longest;
}

/** How long ago a duration (`24h`, `1h30m`) or a time was. @param key of the filter that says so */
export function agoMs(text: string, nowMs: number, key: string): number {
  return durationMs(text) ?? sinceMs(text, nowMs, key);
}

function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?[smh])+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, number = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)([smh])/g))
    ms += Number(number) * (units[unit] ?? 0);
  return Math.round(ms);
}

function sinceMs(text: string, nowMs: number, key: string): number {
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs))
    throw usageError(`--filter ${key} is no duration and no time: ${JSON.stringify(text)}`, hint(key));
  return Math.max(0, nowMs - atMs);
}
