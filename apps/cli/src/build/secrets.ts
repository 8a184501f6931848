import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { csvFields, isKilnError } from '#std';
import { usageError } from '../usage.ts';
import { whyUnreadable } from './unreadable.ts';

/** Where a secret comes from; neither: a variable of its id's name, or else a file. */
export interface SecretSource {
  readonly id: string;
  readonly file?: string | undefined;
  readonly variable?: string | undefined;
  /** its value counts in the keys of the steps that see it */
  readonly keyed?: true | undefined;
}

/** As docker has it. */
const MAX_BYTES = 500 * 1024;
const EXAMPLE = 'such as --secret id=token,src=token.txt or --secret id=token,env=TOKEN';

/** `--secret id=…[,src=…|,env=…][,type=file|env][,keyed]`. @throws KilnError INVALID_ARGUMENT */
export function parseSecret(value: string): SecretSource {
  const given = new Map<string, string>();
  for (const field of fieldsOf(value)) {
    const equals = field === 'keyed' ? field.length : field.indexOf('=');
    if (equals === -1) throw usageError(`--secret: not key=value: ${JSON.stringify(field)}`, EXAMPLE);
    const key = field.slice(0, equals).toLowerCase();
    if (!['id', 'src', 'source', 'env', 'type', 'keyed'].includes(key)) {
      throw usageError(`--secret: ${JSON.stringify(key)} is not known`, EXAMPLE);
    }
    given.set(key === 'source' ? 'src' : key, field.slice(equals + 1));
  }
  const id = given.get('id') ?? '';
  if (id === '') throw usageError(`--secret has no id: ${JSON.stringify(value)}`, EXAMPLE);
  const type = given.get('type') ?? '';
  if (!['', 'file', 'env'].includes(type)) throw usageError(`--secret: type=${type} is not known`, EXAMPLE);
  const source = given.get('src') || undefined;
  const variable = given.get('env') || undefined;
  const keyed = isKeyed(given.get('keyed')) ? { keyed: true as const } : {};
  if (type === 'env' && variable === undefined) return { id, variable: source ?? id, ...keyed };
  return { id, file: source, variable, ...keyed };
}

function isKeyed(value: string | undefined): boolean {
  if (value === undefined || value === 'false') return false;
  if (value === '' || value === 'true') return true;
  throw usageError(`--secret: keyed=${value} is not known`, 'write keyed, keyed=true or keyed=false');
}

function fieldsOf(value: string): readonly string[] {
  try {
    return csvFields(value);
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw usageError(`--secret: ${thrown.message}`, EXAMPLE, thrown);
  }
}

export interface SecretSurroundings {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** something that the user may not have meant */
  readonly note: (text: string) => void;
}

/**
 * The values, by id, in base64.
 * @throws KilnError INVALID_ARGUMENT for a file that cannot be read, and for what is larger than 500 KiB
 */
export async function readSecrets(
  sources: readonly SecretSource[],
  around: SecretSurroundings,
): Promise<Record<string, string>> {
  const read: [string, string][] = [];
  for (const source of sources) read.push([source.id, (await readOne(source, around)).toString('base64')]);
  return Object.fromEntries(read);
}

async function readOne({ id, file, variable }: SecretSource, around: SecretSurroundings): Promise<Buffer> {
  const { environment, cwd, note } = around;
  const name = variable ?? (file === undefined && environment[id] !== undefined ? id : undefined);
  if (file === undefined && name !== undefined) {
    const value = environment[name];
    if (value === undefined) note(`the secret ${id} is empty: the environment has no ${name}`);
    return checked(id, Buffer.from(value ?? ''));
  }
  const path = file ?? id;
  try {
    const found = await stat(resolve(cwd, path));
    if (found.size > MAX_BYTES) throw tooLarge(id, found.size);
    return checked(id, await readFile(resolve(cwd, path)));
  } catch (thrown) {
    if (isKilnError(thrown)) throw thrown;
    const hint = file === undefined ? EXAMPLE : 'src=FILE is relative to the working directory';
    throw usageError(`--secret ${id}: ${path} cannot be read: ${whyUnreadable(thrown)}`, hint, thrown);
  }
}

function checked(id: string, value: Buffer): Buffer {
  if (value.length > MAX_BYTES) throw tooLarge(id, value.length);
  return value;
}

function tooLarge(id: string, bytes: number): Error {
  return usageError(
    `the secret ${id} has ${bytes} bytes; at most ${MAX_BYTES} are taken`,
    'put what is large into the context',
  );
}
