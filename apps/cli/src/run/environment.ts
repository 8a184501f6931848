import { readFile } from 'node:fs/promises';
import { whyUnreadable } from '../build/unreadable.ts';
import { usageError } from '../usage.ts';

export interface GivenEnvironment {
  /** `NAME=value`, or `NAME` for what the environment holds */
  readonly variables: readonly string[];
  /** of lines like these */
  readonly files: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * What `-e` and `--env-file` give, as docker reads them: the flags win over the files, the later over the earlier, and a name
 * that the environment does not hold is left out.
 * @throws KilnError INVALID_ARGUMENT
 */
export async function readEnvironment(given: GivenEnvironment): Promise<Record<string, string>> {
  const { variables, files, environment } = given;
  const read = new Map<string, string>();
  const add = (entry: string, where: string): void => {
    const equals = entry.indexOf('=');
    const name = equals < 0 ? entry : entry.slice(0, equals);
    if (name === '' || (where !== '--env' && /\s/.test(name)))
      throw usageError(`${where} has no name of a variable: ${JSON.stringify(entry)}`, 'write it as NAME=VALUE');
    const value = equals < 0 ? environment[name] : entry.slice(equals + 1);
    if (value !== undefined) read.set(name, value);
  };
  for (const file of files) for (const line of await linesOf(file)) add(line, `--env-file ${file}`);
  for (const variable of variables) add(variable, '--env');
  return Object.fromEntries(read);
}

/** Quotes are characters like others; white space in front of a line is not. */
async function linesOf(file: string): Promise<readonly string[]> {
  try {
    const text = (await readFile(file, 'utf8')).replace(/^\uFEFF/, '');
    return text
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (thrown) {
    throw usageError(`--env-file ${file} cannot be read: ${whyUnreadable(thrown)}`, undefined, thrown);
  }
}
