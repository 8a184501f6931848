import { readLocalConfig } from '../config.ts';
import { confirm } from '../confirm.ts';
import {
  checkContextName,
  type Contexts,
  DEFAULT_CONTEXT,
  readContexts,
  type SavedContext,
  savedContext,
  writeContexts,
} from '../contexts/context-file.ts';
import { farmUrl, sameOrigin } from '../contexts/farm-url.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { table } from './builds.ts';

interface JsonFlags {
  readonly json?: boolean;
}
export interface ContextListFlags extends JsonFlags {
  readonly quiet?: boolean;
}
export interface ContextCreateFlags extends JsonFlags {
  readonly url: string;
  readonly description?: string;
}
export interface ContextUpdateFlags extends JsonFlags {
  readonly url?: string;
  readonly description?: string;
}
export interface ContextRemoveFlags extends JsonFlags {
  readonly force?: boolean;
}

/** A context as `--json` shows it: everything but the token itself. */
interface ShownContext {
  readonly name: string;
  readonly current: boolean;
  /** null: the farm of this machine */
  readonly url: string | null;
  readonly description: string;
  readonly loggedIn: boolean;
  readonly expiresAt: string | null;
}

const file = (): string => readLocalConfig(process.env).contextFile;

/** `kiln context ls` */
export function contextLs({ json, quiet }: ContextListFlags): void {
  const saved = readContexts(file());
  const contexts = shown(saved, inUse(saved));
  if (json === true) return print({ contexts });
  if (quiet === true) return void process.stdout.write(contexts.map(({ name }) => `${name}\n`).join(''));
  const rows = contexts.map(({ name, current, url, description, loggedIn, expiresAt }) => [
    current ? `${name} *` : name,
    url ?? 'this machine',
    url === null ? '–' : loggedInText(loggedIn, expiresAt),
    cleanLine(description, false),
  ]);
  process.stdout.write(table([['NAME', 'FARM', 'LOGGED IN', 'DESCRIPTION'], ...rows]));
  if ((process.env['KILN_URL'] ?? '') !== '')
    process.stderr.write('KILN_URL is set: it is used, whatever context is in use\n');
}

/** `kiln context show`: the name of the one in use. */
export function contextShow({ json }: JsonFlags): void {
  const saved = readContexts(file());
  const current = shown(saved, inUse(saved)).find((each) => each.current);
  if (json === true) return print(current ?? { name: null });
  if (current === undefined) process.stderr.write('KILN_URL is set: it is used, and no context\n');
  else process.stdout.write(`${current.name}\n`);
}

/** `kiln context use NAME` */
export async function contextUse(name: string, { json }: JsonFlags): Promise<void> {
  const contexts = readContexts(file());
  if (name !== DEFAULT_CONTEXT) savedContext(contexts, name);
  await save(withCurrent(contexts, name));
  if (json === true) print({ name });
  else process.stdout.write(`${name} is in use\n`);
}

/** `kiln context create NAME --url URL` */
export async function contextCreate(name: string, flags: ContextCreateFlags): Promise<void> {
  const contexts = readContexts(file());
  checkContextName(name);
  if (Object.hasOwn(contexts.contexts, name))
    throw usageError(`the context ${name} is there already`, `kiln context update ${name} changes it`);
  const { description } = flags;
  const made: SavedContext = {
    url: farmUrl(flags.url, '--url'),
    ...(description === undefined ? {} : { description }),
  };
  await save({ ...contexts, contexts: { ...contexts.contexts, [name]: made } });
  if (flags.json === true) return print({ name, url: made.url });
  process.stdout.write(`${name} is made\n`);
  process.stderr.write(`log in with kiln login --context ${name}; then kiln context use ${name}\n`);
}

/** `kiln context update NAME`: the token stays where the farm does. */
export async function contextUpdate(name: string, flags: ContextUpdateFlags): Promise<void> {
  const contexts = readContexts(file());
  const before = savedContext(contexts, checkContextName(name));
  if (flags.url === undefined && flags.description === undefined)
    throw usageError('nothing is to be changed', 'give --url or --description');
  const url = flags.url === undefined ? before.url : farmUrl(flags.url, '--url');
  const description = flags.description ?? before.description;
  const kept = before.token !== undefined && sameOrigin(before.token.origin, url) ? before.token : undefined;
  const after: SavedContext = {
    url,
    ...(description === undefined ? {} : { description }),
    ...(kept === undefined ? {} : { token: kept }),
  };
  await save({ ...contexts, contexts: { ...contexts.contexts, [name]: after } });
  if (flags.json === true) return print({ name, url });
  process.stdout.write(`${name} is changed\n`);
  if (before.token !== undefined && kept === undefined)
    process.stderr.write(`its token was for ${before.token.origin} and is forgotten: kiln login --context ${name}\n`);
}

/** `kiln context rm NAME…` */
export async function contextRm(names: readonly string[], { force, json }: ContextRemoveFlags): Promise<void> {
  let contexts = readContexts(file());
  for (const name of names) {
    savedContext(contexts, checkContextName(name));
    if (contexts.current !== name) continue;
    if (force !== true) await confirm(`${name} is in use; without it, the farm of this machine is.`);
    contexts = withCurrent(contexts, DEFAULT_CONTEXT);
  }
  const left = Object.entries(contexts.contexts).filter(([name]) => !names.includes(name));
  await save({ ...contexts, contexts: Object.fromEntries(left) });
  if (json === true) print({ removed: names });
  else process.stdout.write(names.map((name) => `${name} is removed\n`).join(''));
}

/** The same contexts with another one in use. */
export function withCurrent({ current: _, ...rest }: Contexts, name: string): Contexts {
  return name === DEFAULT_CONTEXT ? rest : { current: name, ...rest };
}

/** The name of the context that commands use; undefined when KILN_URL names a farm. */
function inUse({ current = DEFAULT_CONTEXT }: Contexts): string | undefined {
  if ((process.env['KILN_URL'] ?? '') !== '') return undefined;
  return process.env['KILN_CONTEXT'] || current;
}

function shown({ contexts }: Contexts, current: string | undefined): readonly ShownContext[] {
  const local = { description: 'the farm of this machine', loggedIn: true, expiresAt: null };
  return [
    { name: DEFAULT_CONTEXT, current: current === DEFAULT_CONTEXT, url: null, ...local },
    ...Object.entries(contexts).map(([name, { url, description = '', token }]) => ({
      ...{ name, current: name === current, url, description },
      loggedIn: token !== undefined && sameOrigin(token.origin, url),
      expiresAt: token?.expiresAt ?? null,
    })),
  ];
}

function loggedInText(loggedIn: boolean, expiresAt: string | null): string {
  if (!loggedIn) return 'no';
  if (expiresAt === null) return 'yes';
  return Date.parse(expiresAt) <= Date.now() ? 'has ended' : `until ${expiresAt.replace('T', ' ').slice(0, 16)}`;
}

const save = (contexts: Contexts): Promise<void> => writeContexts(file(), contexts);
const print = (value: object): void => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
