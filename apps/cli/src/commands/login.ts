import { isLoopback } from '#client';
import type { MeView } from '#protocol';
import { collect, isKilnError, KilnError } from '#std';
import { type LocalConfig, readConfig, readLocalConfig } from '../config.ts';
import {
  checkContextName,
  type Contexts,
  DEFAULT_CONTEXT,
  readContexts,
  savedContext,
  writeContexts,
} from '../contexts/context-file.ts';
import { exchangeIdToken } from '../contexts/exchange.ts';
import { farmUrl } from '../contexts/farm-url.ts';
import { clientOf, connect } from '../farm/connect.ts';
import { askHidden } from '../hidden-prompt.ts';
import { usageError } from '../usage.ts';
import { withCurrent } from './context.ts';
import { meText } from './me-text.ts';

export interface LoginFlags {
  readonly tokenStdin?: boolean;
  readonly oidc?: boolean;
  readonly oidcTokenStdin?: boolean;
  readonly project?: string;
  readonly audience?: string;
  readonly json?: boolean;
}
export interface LogoutFlags {
  readonly json?: boolean;
}
export interface WhoamiFlags {
  readonly json?: boolean;
  readonly data?: string;
}

interface Target {
  readonly context: string;
  readonly url: string;
}

const hints = {
  unreachableHint: 'check the address, and the way there: a network, a proxy',
  unauthenticatedHint: 'check that it is a token of this farm; kiln token create makes another',
};
const MAX_TOKEN_BYTES = 64 * 1024;

/** `kiln login [URL]`: a token is tried before it is kept; its context is in use afterwards. */
export async function login(url: string | undefined, flags: LoginFlags): Promise<void> {
  checkWay(flags);
  const local = readLocalConfig(process.env);
  const { contextFile } = local;
  const target = targetOf(readContexts(contextFile), url);
  if (target.url.startsWith('http:') && !isLoopback(target.url))
    process.stderr.write(`${target.url} is not encrypted: whoever listens on the way reads the token\n`);
  const token = await tokenOf(target, flags, local);
  await using client = clientOf({ ...target, token }, local, hints);
  const me = await meOf(() => client.access.me());
  // Read again: a prompt may have taken minutes.
  const contexts = readContexts(contextFile);
  const { context, url: farm } = target;
  const before = Object.hasOwn(contexts.contexts, context) ? contexts.contexts[context] : undefined;
  const saved = {
    ...before,
    url: farm,
    token: { value: token, origin: new URL(farm).origin, expiresAt: me.expiresAt },
  };
  await writeContexts(
    contextFile,
    withCurrent({ ...contexts, contexts: { ...contexts.contexts, [context]: saved } }, context),
  );
  if (flags.json === true) return print({ context, url: farm, ...me });
  process.stdout.write(`logged in to ${farm}; the context ${context} is in use\n${meText(me)}`);
  if ((process.env['KILN_URL'] ?? '') !== '')
    process.stderr.write('KILN_URL and KILN_TOKEN are used before it: unset them\n');
}

function checkWay({ tokenStdin, oidc, oidcTokenStdin, project, audience }: LoginFlags): void {
  if ([tokenStdin, oidc, oidcTokenStdin].filter((way) => way === true).length > 1)
    throw usageError('--token-stdin, --oidc and --oidc-token-stdin exclude each other', 'give one of them');
  if (audience !== undefined && oidc !== true) throw usageError('--audience is for --oidc', 'leave it out');
  if (project !== undefined && oidc !== true && oidcTokenStdin !== true)
    throw usageError('--project is for --oidc and --oidc-token-stdin', 'a token has its project already');
}

/** The named context, else the one of that URL, else one that is made with the name of the host. */
function targetOf(contexts: Contexts, given: string | undefined): Target {
  const named = process.env['KILN_CONTEXT'] || undefined;
  const url = given ?? (named === undefined ? process.env['KILN_URL'] || undefined : undefined);
  if (url === undefined) {
    const context = named ?? contexts.current ?? DEFAULT_CONTEXT;
    if (context !== DEFAULT_CONTEXT) return { context, url: savedContext(contexts, context).url };
    throw usageError(
      'no farm is named',
      'kiln login https://farm.example.com; the farm of this machine needs no login',
    );
  }
  const farm = farmUrl(url, given === undefined ? 'KILN_URL' : 'the farm');
  const known = Object.entries(contexts.contexts).find(([, each]) => each.url === farm)?.[0];
  const context = checkContextName(named ?? known ?? nameFor(farm));
  const there = Object.hasOwn(contexts.contexts, context) ? contexts.contexts[context] : undefined;
  if (there !== undefined && there.url !== farm) {
    throw usageError(
      `the context ${context} is of ${there.url}`,
      `name another with --context, or change it: kiln context update ${context} --url ${farm}`,
    );
  }
  return { context, url: farm };
}

const nameFor = (url: string): string => new URL(url).host.replaceAll(/[^a-zA-Z0-9.-]+/g, '-').replace(/^[-.]+/, '');

async function tokenOf({ context, url }: Target, flags: LoginFlags, local: LocalConfig): Promise<string> {
  if (flags.oidc === true || flags.oidcTokenStdin === true) {
    const idToken = flags.oidcTokenStdin === true ? await fromStdin('an id token') : undefined;
    const project = flags.project ?? process.env['KILN_PROJECT'];
    const audience = flags.audience ?? process.env['KILN_OIDC_AUDIENCE'];
    await using nobody = clientOf({ url, token: undefined, context }, local, {
      unreachableHint: hints.unreachableHint,
    });
    return (await exchangeIdToken(nobody, { url }, { project, audience, environment: process.env }, idToken))
      .access_token;
  }
  if (flags.tokenStdin === true) return checked(await fromStdin('a token'));
  if (!process.stdin.isTTY)
    throw usageError('a token is asked for in a terminal alone', 'pipe it: kiln login --token-stdin < token');
  return checked(
    (await askHidden(`Token for ${url}: `, process.stdin, (text) => void process.stderr.write(text))).trim(),
  );
}

export async function fromStdin(what: string): Promise<string> {
  if (process.stdin.isTTY)
    throw usageError(`${what} was to come from standard input, which is a terminal`, 'pipe it into the command');
  const text = (await collect(process.stdin as AsyncIterable<Uint8Array>, MAX_TOKEN_BYTES)).toString().trim();
  if (text === '')
    throw usageError(`${what} was to come from standard input, which is empty`, 'pipe it into the command');
  return text;
}

/** What cannot be a header is no token; it is not shown, since it may be a secret of something else. */
function checked(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usageError('that is no token', 'one is kiln_ and 40 letters and digits; kiln token create makes it');
}

/** `kiln logout`: forgets the token; the farm still knows it. */
export async function logout({ json }: LogoutFlags): Promise<void> {
  const { contextFile } = readLocalConfig(process.env);
  const contexts = readContexts(contextFile);
  const context = process.env['KILN_CONTEXT'] || (contexts.current ?? DEFAULT_CONTEXT);
  if (context === DEFAULT_CONTEXT)
    throw usageError(
      'no context is in use that could be logged out of',
      'name one with --context; kiln context ls lists them',
    );
  const { token, ...rest } = savedContext(contexts, context);
  await writeContexts(contextFile, { ...contexts, contexts: { ...contexts.contexts, [context]: rest } });
  if (json === true) return print({ context, loggedOut: token !== undefined });
  process.stdout.write(token === undefined ? `${context} had no token\n` : `logged out of ${rest.url}\n`);
  if (token !== undefined) process.stderr.write('the token itself is still good: kiln token revoke ID ends it\n');
}

/** `kiln whoami` */
export async function whoami({ json, data }: WhoamiFlags): Promise<void> {
  const config = readConfig(process.env, data);
  await using client = await connect(config);
  const me = await meOf(() => client.access.me());
  const { farm } = config;
  const context = farm === undefined ? DEFAULT_CONTEXT : (farm.context ?? null);
  const url = farm?.url ?? null;
  if (json === true) return print({ farm: { url, context }, ...me });
  const from = context === null ? 'KILN_URL' : `context ${context}`;
  process.stdout.write(`farm         ${url ?? 'of this machine'} (${from})\n${meText(me)}`);
}

/** A farm from before that route says that there is no such thing. */
async function meOf(ask: () => Promise<MeView>): Promise<MeView> {
  try {
    return await ask();
  } catch (thrown) {
    if (!isKilnError(thrown, 'NOT_FOUND')) throw thrown;
    throw new KilnError('INTERNAL', 'this farm is older than this command line, or is none: it does not say who asks', {
      hint: 'bring the farm to the version of kiln --version, and check that the address is a farm’s',
      cause: thrown,
    });
  }
}

const print = (value: object): void => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
