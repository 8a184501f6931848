import { invalid, unsupported } from '../invalid.ts';
import { didYouMean } from './suggest.ts';

export interface FlagRules {
  /** flags with a value that may stand once */
  readonly values?: readonly string[];
  /** what is refused by name; those of BuildKit that are not there */
  readonly refused?: readonly string[];
  /** of those refused, switches whose `=false` changes nothing */
  readonly switches?: readonly string[];
}

/**
 * The flags of one instruction.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED
 */
export function parseFlags(
  keyword: string,
  flags: readonly string[],
  rules: FlagRules = {},
): ReadonlyMap<string, string> {
  const { values = [], refused = [], switches = [] } = rules;
  const parsed = new Map<string, string>();
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    const dashed = equals === -1 ? flag : flag.slice(0, equals);
    const value = equals === -1 ? undefined : flag.slice(equals + 1);
    const name = dashed.slice(2);
    if (switches.includes(name) && value?.toLowerCase() === 'false') continue;
    if (refused.includes(name)) {
      throw unsupported(`${keyword.toUpperCase()} ${dashed}`, { hint: 'write the instruction without this flag' });
    }
    if (!values.includes(name)) {
      const known = [...values, ...refused];
      throw invalid(`unknown flag: ${dashed}${didYouMean(name, known)}`, {
        hint:
          known.length === 0
            ? `${keyword.toUpperCase()} takes no flags`
            : `flags of ${keyword.toUpperCase()} are ${known.map((each) => `--${each}`).join(', ')}`,
      });
    }
    if (parsed.has(name)) throw invalid(`duplicate flag specified: ${dashed}`, { hint: 'write it once' });
    if (value === undefined)
      throw invalid(`missing a value on flag: ${dashed}`, { hint: `write ${dashed}=value, without a blank` });
    parsed.set(name, value);
  }
  return parsed;
}
