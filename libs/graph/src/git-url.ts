import { posix } from 'node:path';
import { KilnError } from '#std';

/** A git repository as a Dockerfile or a context names it. */
export interface GitSource {
  readonly transport: 'https' | 'http' | 'ssh' | 'git';
  /** what git takes: without query and fragment; may hold credentials */
  readonly remote: string;
  /** branch, tag or commit; empty for the default branch */
  readonly ref: string;
  /** relative to the repository's root, clean; empty for all */
  readonly subdir: string;
  /** the beginning of the commit that it has to be, in hexadecimal; empty for any */
  readonly checksum: string;
  /** undefined where the URL does not say */
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean;
}

/** Where the connections of a remote lead. */
export interface GitEndpoint {
  readonly transport: GitSource['transport'];
  /** without the brackets of an address */
  readonly host: string;
  readonly port: number;
}

const TRANSPORTS = ['https', 'http', 'ssh', 'git'] as const;
const scpStyle = /^(?<user>[a-zA-Z0-9-_]+)@(?<host>[a-zA-Z0-9-.]+):(?<path>[^?#]*)(?<rest>.*)$/;

const PORTS: Readonly<Record<GitSource['transport'], number>> = { https: 443, http: 80, ssh: 22, git: 9418 };
const hostName = /^(?:[a-z0-9_][a-z0-9._-]*|[0-9a-f:.]+)$/i;

const refuse = (text: string, why: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `the git URL ${JSON.stringify(withoutCredentials(text))} ${why}`, {
    hint: 'write it as https://host/repository.git#ref:directory',
  });

/**
 * Reads a git URL in all forms that BuildKit knows: `https://host/x.git`, `git@host:x`, `ssh://`, `git://`, each with
 * `#ref:subdir` or a query (`ref`, `branch`, `tag`, `subdir`, `checksum`, `commit`, `keep-git-dir`, `submodules`). By http(s) a
 * repository is told from a file by `.git` at the end of its path. Undefined for what is no git URL.
 * @throws KilnError INVALID_ARGUMENT for a git URL with a query that cannot be
 */
export function parseGitUrl(text: string): GitSource | undefined {
  const scp = scpStyle.exec(text)?.groups;
  if (scp !== undefined && !/^[a-z0-9]+:\/\//i.test(text)) {
    const { user = '', host = '', path = '', rest = '' } = scp;
    return withOptions(text, { transport: 'ssh', remote: `${user}@${host}:${path}`, ...splitRest(rest) });
  }
  const transport = TRANSPORTS.find((each) => text.toLowerCase().startsWith(`${each}://`));
  if (transport === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (transport.startsWith('http') && !url.pathname.endsWith('.git')) return undefined;
  if (url.host === '') throw refuse(text, 'names no host');
  if (/%(?![0-9a-f]{2})/i.test(`${url.username}${url.password}`)) {
    throw refuse(text, 'has a % in its user or password that begins no escape: write %25');
  }
  const { search: query, hash } = url;
  url.search = '';
  url.hash = '';
  return withOptions(text, { transport, remote: url.href, query, fragment: decoded(hash.slice(1)) });
}

/** Where a remote is, by URL or in the form of scp; undefined for what is neither, or has no host that can be. */
export function gitEndpoint(remote: string): GitEndpoint | undefined {
  const scp = scpStyle.exec(remote)?.groups;
  if (scp !== undefined && !remote.includes('://')) return endpoint('ssh', scp['host'] ?? '', '');
  const transport = TRANSPORTS.find((each) => remote.toLowerCase().startsWith(`${each}://`));
  if (transport === undefined || !URL.canParse(remote)) return undefined;
  const { hostname, port } = new URL(remote);
  return endpoint(transport, hostname.replace(/^\[|\]$/g, ''), port);
}

function endpoint(transport: GitSource['transport'], host: string, port: string): GitEndpoint | undefined {
  return hostName.test(host) ? { transport, host, port: Number(port || PORTS[transport]) } : undefined;
}

/** A text for people: user and password of every URL in it left out. By ssh the user is no secret, and belongs to the place. */
export function withoutCredentials(text: string): string {
  return text
    .replaceAll(/(?<!ssh):\/\/[^\s/?#'"]*@/gi, '://')
    .replaceAll(/(ssh:\/\/[^\s/?#'":@]*):[^\s/?#'"]*@/gi, '$1@');
}

interface Parts {
  readonly transport: GitSource['transport'];
  readonly remote: string;
  /** with its question mark */
  readonly query: string;
  readonly fragment: string;
}

function splitRest(rest: string): Pick<Parts, 'query' | 'fragment'> {
  const hash = rest.indexOf('#');
  return hash === -1 ? { query: rest, fragment: '' } : { query: rest.slice(0, hash), fragment: rest.slice(hash + 1) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Never leads out of the root. */
const clean = (path: string): string => posix.join('/', path).replace(/^\/+|\/+$/g, '');

function withOptions(text: string, { transport, remote, query, fragment }: Parts): GitSource {
  const colon = fragment.indexOf(':');
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (given.has(name)) throw refuse(text, `has several values for ${name}`);
    if (value === '' && name !== 'submodules' && name !== 'keep-git-dir')
      throw refuse(text, `has no value for ${name}`);
    given.set(name, value);
  }
  const take = (name: string): string => {
    const value = given.get(name) ?? '';
    given.delete(name);
    return value;
  };
  const takeSwitch = (name: string): boolean | undefined => {
    if (!given.has(name)) return undefined;
    const value = take(name).toLowerCase();
    if (['', '1', 't', 'true'].includes(value)) return true;
    if (['0', 'f', 'false'].includes(value)) return false;
    throw refuse(text, `has ${name}=${value}, which is neither true nor false`);
  };
  const one = (what: string, ...values: readonly string[]): string => {
    const distinct = [...new Set(values.filter((value) => value !== ''))];
    if (distinct.length > 1) throw refuse(text, `names two ${what}: ${distinct.join(' and ')}`);
    return distinct[0] ?? '';
  };
  const prefixed = (prefix: string, name: string): string =>
    name === '' || name.startsWith(prefix) ? name : `${prefix}${name}`;
  const source: GitSource = {
    transport,
    remote,
    ref: one(
      'refs',
      colon === -1 ? fragment : fragment.slice(0, colon),
      take('ref'),
      prefixed('refs/tags/', take('tag')),
      prefixed('refs/heads/', take('branch')),
    ),
    subdir: one('directories', clean(colon === -1 ? '' : fragment.slice(colon + 1)), clean(take('subdir'))),
    checksum: one('commits', take('checksum'), take('commit')),
    keepGitDir: takeSwitch('keep-git-dir'),
    submodules: takeSwitch('submodules') ?? true,
  };
  // Commits are fetched by name wherever that can be done, and files have their commit's time.
  takeSwitch('fetch-by-commit');
  const mtime = take('mtime');
  if (!['', 'checkout', 'commit'].includes(mtime)) throw refuse(text, `has mtime=${mtime}: checkout or commit`);
  const [unknown] = given.keys();
  if (unknown !== undefined) throw refuse(text, `has a query that is not known: ${unknown}`);
  if (/[\0-\x20\x7f]/.test(source.ref) || source.ref.startsWith('-')) throw refuse(text, 'has no ref that git takes');
  return source;
}
