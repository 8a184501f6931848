const UNITS = 'kmgtp';

/** A size for people: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let size = Math.max(0, bytes);
  // What would round to 1024 of a unit is 1 of the next.
  for (; Math.round(size * 10) >= 10_240 && unit < UNITS.length; unit++) size /= 1024;
  return unit === 0 ? `${Math.round(size)} B` : `${Number(size.toFixed(1))} ${(UNITS[unit - 1] ?? '').toUpperCase()}iB`;
}

/**
 * A size as docker spells it: a number, and k, m, g, t or p for powers of 1024, with or without `b` or `ib`; undefined for
 * what is none.
 */
export function parseByteSize(text: string): number | undefined {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  if (number === '') return undefined;
  const bytes = Math.floor(Number(number) * 1024 ** (UNITS.indexOf(unit.toLowerCase() || ' ') + 1));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
