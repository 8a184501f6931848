const UNITS = 'kmgtp';

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
