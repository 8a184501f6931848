import { invalid } from './invalid.ts';

const unitsNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const whole = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/;
const each = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g;
/** More do not change a fraction in nanoseconds. */
const FRACTION_DIGITS = 18;

/**
 * Go's time.ParseDuration, in nanoseconds: `1m30s`, `1.5h`, `0`.
 * @throws KilnError DOCKERFILE_INVALID, also above 104 days, beyond which JSON keeps no nanoseconds
 */
export function parseGoDuration(text: string): number {
  const hint = 'write it as 30s, 1m30s or 500ms';
  const [, sign, body] = whole.exec(text) ?? [];
  if (body === undefined) throw invalid(`time: invalid duration ${JSON.stringify(text)}`, { hint });
  let total = 0n;
  for (const [, integer = '', fraction = '', unit = ''] of body.matchAll(each)) {
    const unitNs = unitsNs[unit] ?? Number.NaN;
    const digits = fraction.slice(0, FRACTION_DIGITS);
    // As Go does it: whole units are exact, and what a fraction has below a nanosecond is cut off.
    total += BigInt(integer) * BigInt(unitNs) + BigInt(Math.trunc(Number(digits) * (unitNs / 10 ** digits.length)));
  }
  const ns = Number(total);
  if (!Number.isSafeInteger(ns)) throw invalid(`time: invalid duration ${JSON.stringify(text)}: too long`, { hint });
  return sign === '-' ? -ns : ns;
}

/** Go's Duration.String: `1m30s`, `1.5s`, `500ms`, `0s`. */
export function formatGoDuration(ns: number): string {
  if (ns === 0) return '0s';
  if (ns < 0) return `-${formatGoDuration(-ns)}`;
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${decimal(ns, 1e3)}µs`;
  if (ns < 1e9) return `${decimal(ns, 1e6)}ms`;
  const minutes = Math.floor(ns / 60e9);
  const seconds = `${decimal(ns % 60e9, 1e9)}s`;
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

function decimal(ns: number, unitNs: number): string {
  const digits = String(unitNs).length - 1;
  const fraction = String(ns % unitNs)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return `${Math.floor(ns / unitNs)}${fraction === '' ? '' : `.${fraction}`}`;
}
