import { toBoolean, toNumber, toText } from '../hcl/convert.ts';
import { checked } from '../hcl/size.ts';
import type { Value } from '../hcl/value.ts';
import { jsonText } from './json-text.ts';

const VERB = /%(?:%|([-+ #0]*)(\d+|\*)?(?:\.(\d+))?(?:\[(\d+)\])?([a-zA-Z]))/g;

/** `format()`: the verbs of Go's fmt that HCL has. @throws TypeError for a verb or an argument that does not fit */
export function formatText(format: string, args: readonly Value[]): string {
  let next = 0;
  let most = 0;
  let size = format.length;
  const text = format.replaceAll(VERB, (all, flags = '', width = '', precision, index, verb = '') => {
    if (all === '%%') return '%';
    const at = index === undefined ? next : Number(index) - 1;
    next = at + 1;
    most = Math.max(most, next);
    if (at >= args.length) throw new TypeError(`not enough arguments for ${String(all)}`);
    const spec = { flags: String(flags), precision: precision === undefined ? undefined : Number(precision) };
    const shown = padded(one(String(verb), args[at] ?? null, spec), String(flags), Number(width));
    size = checked(size + shown.length);
    return shown;
  });
  if (most < args.length && !/%\[/.test(format))
    throw new TypeError(`there are ${args.length - most} arguments too many`);
  return text;
}

interface Spec {
  readonly flags: string;
  readonly precision: number | undefined;
}

function one(verb: string, value: Value, { flags, precision }: Spec): string {
  const signed = (text: string): string => (flags.includes('+') && !text.startsWith('-') ? `+${text}` : text);
  switch (verb) {
    case 'v':
      return typeof value === 'object' ? jsonText(value) : toText(value);
    case 's': {
      const text = toText(value);
      return precision === undefined ? text : [...text].slice(0, precision).join('');
    }
    case 'q':
      return JSON.stringify(toText(value));
    case 't':
      return String(toBoolean(value));
    case 'd':
      return signed(String(Math.trunc(toNumber(value))));
    case 'b':
      return signed(Math.trunc(toNumber(value)).toString(2));
    case 'o':
      return signed(Math.trunc(toNumber(value)).toString(8));
    case 'x':
    case 'X': {
      const text =
        typeof value === 'string' ? Buffer.from(value).toString('hex') : Math.trunc(toNumber(value)).toString(16);
      return verb === 'X' ? text.toUpperCase() : text;
    }
    case 'f':
    case 'F':
      return signed(toNumber(value).toFixed(precision ?? 6));
    case 'e':
    case 'E': {
      const text = toNumber(value)
        .toExponential(precision ?? 6)
        .replace(/e([+-])(\d)$/, 'e$10$2');
      return signed(verb === 'E' ? text.toUpperCase() : text);
    }
    case 'g':
    case 'G':
      return signed(
        precision === undefined ? toText(toNumber(value)) : String(Number(toNumber(value).toPrecision(precision))),
      );
    default:
      throw new TypeError(`%${verb} is no verb; there are %v %s %q %t %d %b %o %x %f %e %g`);
  }
}

function padded(text: string, flags: string, width: number): string {
  if (width > 10_000) throw new TypeError(`a width of ${width}`);
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0')) return text.padStart(width);
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  return sign + digits.padStart(width - sign.length, '0');
}
