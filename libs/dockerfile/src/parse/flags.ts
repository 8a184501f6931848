import { invalid } from '../invalid.ts';
import { didYouMean } from './suggest.ts';

export interface FlagRules {
  /** flags with a value that may stand once */
  readonly values?: readonly string[];
  /** flags that are true or false, true without a value */
  readonly switches?: readonly string[];
  /** flags with a value that may stand several times */
  readonly lists?: readonly string[];
}

/** The flags that stand on one instruction. */
export class Flags {
  readonly #given: ReadonlyMap<string, readonly string[]>;

  constructor(given: ReadonlyMap<string, readonly string[]>) {
    this.#given = given;
  }

  /** The value of a flag that may stand once. */
  get(name: string): string | undefined {
    return this.#given.get(name)?.[0];
  }

  /** The values of a flag that may stand several times, in their order. */
  all(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }

  /** What a switch says; undefined where it does not stand. */
  switch(name: string): boolean | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : value === 'true';
  }
}

/**
 * The flags of one instruction.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function parseFlags(keyword: string, flags: readonly string[], rules: FlagRules = {}): Flags {
  const { values = [], switches = [], lists = [] } = rules;
  const given = new Map<string, string[]>();
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    const dashed = equals === -1 ? flag : flag.slice(0, equals);
    const text = equals === -1 ? undefined : flag.slice(equals + 1);
    const name = dashed.slice(2);
    const known = [...values, ...switches, ...lists];
    if (!known.includes(name)) {
      const near = didYouMean(name, known).replace('did you mean ', 'did you mean --');
      throw invalid(`unknown flag: ${dashed}${near}`, {
        hint:
          known.length === 0
            ? `${keyword.toUpperCase()} takes no flags`
            : `flags of ${keyword.toUpperCase()} are ${known.map((each) => `--${each}`).join(', ')}`,
      });
    }
    const earlier = given.get(name);
    if (earlier !== undefined && !lists.includes(name))
      throw invalid(`duplicate flag specified: ${dashed}`, { hint: 'write it once' });
    const value = switches.includes(name) ? switchValue(dashed, text) : text;
    if (value === undefined)
      throw invalid(`missing a value on flag: ${dashed}`, { hint: `write ${dashed}=value, without a blank` });
    given.set(name, [...(earlier ?? []), value]);
  }
  return new Flags(given);
}

function switchValue(dashed: string, text: string | undefined): string | undefined {
  if (text === undefined) return 'true';
  if (text === '') return undefined;
  const value = text.toLowerCase();
  if (value === 'true' || value === 'false') return value;
  throw invalid(`expecting boolean value for flag ${dashed}, not: ${text}`, {
    hint: `write ${dashed} or ${dashed}=false`,
  });
}
