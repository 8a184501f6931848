import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type KilnError, messageOf, systemCode } from '#std';
import { z } from 'zod';
import { replaceWithText } from '../build/write-file.ts';
import { usageError } from '../usage.ts';
import { farmUrl } from './farm-url.ts';

/** The farm of this machine; it is always there and cannot be changed. */
export const DEFAULT_CONTEXT = 'default';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,127}$/;
const ContextName = z.string().regex(NAME);

const FarmUrl = z.string().refine((text) => {
  try {
    return farmUrl(text, 'url') === text;
  } catch {
    return false;
  }
}, 'not the URL of a farm');

const SavedToken = z.strictObject({
  value: z.string().min(1),
  /** scheme, host and port that it was given for: it is sent nowhere else */
  origin: z.string(),
  expiresAt: z.iso.datetime().nullable(),
});
export type SavedToken = z.infer<typeof SavedToken>;

const SavedContext = z.strictObject({
  url: FarmUrl,
  description: z.string().optional(),
  token: SavedToken.optional(),
});
export type SavedContext = z.infer<typeof SavedContext>;

const ContextFile = z.strictObject({
  /** the one in use; the farm of this machine when it is not said */
  current: ContextName.optional(),
  contexts: z.record(ContextName, SavedContext).default({}),
});
/** What `kiln` keeps of farms. */
export type Contexts = z.infer<typeof ContextFile>;

/**
 * The contexts in a file; none when there is no file.
 * @throws KilnError INVALID_ARGUMENT naming the file when it cannot be read
 */
export function readContexts(file: string): Contexts {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? '')) return { contexts: {} };
    throw damaged(file, messageOf(cause), cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // What the parser says may hold a piece of the file, and so of a token.
    throw damaged(file, 'it is not JSON');
  }
  const parsed = ContextFile.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw damaged(file, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function damaged(file: string, why: string, cause?: unknown): KilnError {
  return usageError(
    `cannot read ${file}: ${why}`,
    'repair it, or remove it and log in again with kiln login; KILN_URL with KILN_TOKEN works without it',
    cause,
  );
}

/** Replaces the file in one piece, readable by its owner alone. */
export async function writeContexts(file: string, contexts: Contexts): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await replaceWithText(file, `${JSON.stringify(contexts, null, 2)}\n`, 0o600);
  } catch (cause) {
    throw usageError(
      `cannot write ${file}: ${messageOf(cause)}`,
      'XDG_CONFIG_HOME names the directory that it lies below',
      cause,
    );
  }
}

/** @throws KilnError INVALID_ARGUMENT for a name that no context of the user's can have */
export function checkContextName(name: string): string {
  if (name === DEFAULT_CONTEXT) {
    throw usageError(
      `the context ${DEFAULT_CONTEXT} is the farm of this machine, and stays as it is`,
      'choose another name',
    );
  }
  if (NAME.test(name)) return name;
  throw usageError(`${JSON.stringify(name)} is no name of a context`, 'write letters, digits, and . _ + -');
}

/** @throws KilnError INVALID_ARGUMENT when there is none of this name */
export function savedContext({ contexts }: Contexts, name: string): SavedContext {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = [DEFAULT_CONTEXT, ...Object.keys(contexts)];
  throw usageError(`there is no context ${JSON.stringify(name)}`, `there are: ${names.join(', ')}`);
}
