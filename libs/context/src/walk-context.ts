import { type BigIntStats, constants, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { decodePath, encodePath, joinPath, parentOf } from '#content';
import { KilnError, messageOf, systemCode } from '#std';
import { type FileStamp, stampOf } from './file-stamp.ts';
import { type IgnoreRules, type IgnoreState, ignoreFilesFor, noRules, parseIgnore } from './ignore.ts';

/** One file of a context on the client's disk. */
export interface ContextFile {
  /** as in a manifest */
  readonly path: string;
  /** the same for the file system, whose names are bytes */
  readonly diskPath: Buffer;
  /** `hardlink` is a further name of a file that came before */
  readonly type: 'file' | 'hardlink' | 'dir' | 'symlink' | 'fifo';
  readonly mode: number;
  /** seconds since the epoch */
  readonly mtime: number;
  /** 0 for all but files */
  readonly sizeBytes: number;
  /** symlink: its target; hardlink: the file's first name */
  readonly link: string;
  readonly stamp: FileStamp;
}

export interface WalkOptions {
  /** path in the context of the Dockerfile, which is sent whatever .dockerignore says, as are the ignore files */
  readonly dockerfile?: string | undefined;
  /** for what is no build of its own: the first of these that exists says what is left out, and no Dockerfile is sent anyway */
  readonly ignoreFiles?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

const NS = 1_000_000_000n;
const MAX_IGNORE_BYTES = 4 * 1024 * 1024;

export function unreadable(path: string, cause: unknown): KilnError {
  return new KilnError('CONTEXT_INVALID', `cannot read ${JSON.stringify(path)} of the context: ${messageOf(cause)}`, {
    hint: 'make it readable, or leave it out with .dockerignore',
    cause,
  });
}

const gone = (thrown: unknown): boolean => systemCode(thrown) === 'ENOENT' || systemCode(thrown) === 'ENOTDIR';

/** Calls the file system; undefined when the file is not there, or went away between two calls. */
function look<T>(path: string, call: () => T): T | undefined {
  try {
    return call();
  } catch (thrown) {
    if (gone(thrown)) return undefined;
    throw unreadable(path, thrown);
  }
}

function typeOf(path: string, stats: BigIntStats): ContextFile['type'] | 'socket' {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  throw new KilnError('CONTEXT_INVALID', `${JSON.stringify(path)} of the context is a device`, {
    hint: 'leave it out with .dockerignore',
  });
}

/** Rounded down, before 1970 too. */
function secondsOf(ns: bigint): number {
  const seconds = ns / NS;
  return Number(ns < seconds * NS ? seconds - 1n : seconds);
}

/** Looks at one file; undefined for what is not there (any more), and for sockets. */
export function describe(path: string, diskPath: Buffer, linked = new Map<string, string>()): ContextFile | undefined {
  const stats = look(path, () => lstatSync(diskPath, { bigint: true }));
  if (stats === undefined) return undefined;
  const type = typeOf(path, stats);
  if (type === 'socket') return undefined;
  const mode = Number(stats.mode & 0o7777n);
  const common = { path, diskPath, mode, mtime: secondsOf(stats.mtimeNs), stamp: stampOf(stats) };
  if (type === 'file' && stats.nlink > 1n) {
    const inode = `${stats.dev} ${stats.ino}`;
    const first = linked.get(inode);
    if (first !== undefined) return { ...common, type: 'hardlink', sizeBytes: 0, link: first };
    linked.set(inode, path);
  }
  return {
    ...common,
    type,
    sizeBytes: type === 'file' ? Number(stats.size) : 0,
    link: type === 'symlink' ? decodePath(look(path, () => readlinkSync(diskPath, 'buffer')) ?? Buffer.alloc(0)) : '',
  };
}

/** The rules that hold for a Dockerfile of the context in `directory`. */
export function readIgnoreRules(directory: string, dockerfile: string): IgnoreRules {
  return firstRules(directory, ignoreFilesFor(dockerfile));
}

function firstRules(directory: string, ignoreFiles: readonly string[]): IgnoreRules {
  for (const name of ignoreFiles) {
    const text = look(name, () => readFileSync(Buffer.concat([Buffer.from(`${directory}/`), encodePath(name)])));
    if (text === undefined) continue;
    if (text.length > MAX_IGNORE_BYTES) {
      throw new KilnError('LIMIT_EXCEEDED', `${name} has more than ${MAX_IGNORE_BYTES} bytes`);
    }
    return parseIgnore(decodePath(text));
  }
  return noRules;
}

interface Walk {
  readonly rules: IgnoreRules;
  /** paths that are sent whatever the rules say, and the directories above them */
  readonly always: ReadonlySet<string>;
  readonly signal: AbortSignal | undefined;
  /** first names of files with several, by device and inode */
  readonly linked: Map<string, string>;
}

interface Directory {
  readonly path: string;
  readonly diskPath: Buffer;
  readonly state: IgnoreState;
}

/** The files of one directory by the bytes of their names. */
function names({ path, diskPath, state }: Directory): Buffer[] {
  try {
    return readdirSync(diskPath, { encoding: 'buffer' }).sort((a, b) => a.compare(b));
  } catch (thrown) {
    // Of an ignored directory, only exceptions would have been taken.
    if (gone(thrown) || (state.ignored && systemCode(thrown) === 'EACCES')) return [];
    throw unreadable(path, thrown);
  }
}

async function* walk(directory: Directory, options: Walk): AsyncGenerator<ContextFile> {
  // The calls are synchronous (twice as fast), so let signals in between directories.
  await turn();
  options.signal?.throwIfAborted();
  for (const name of names(directory)) {
    const path = joinPath(directory.path, decodePath(name));
    const state = options.rules.enter(directory.state, path);
    const always = options.always.has(path);
    const mayHold = !state.ignored || always || options.rules.mayReinclude(path);
    if (!mayHold) continue;
    const taken = !state.ignored || always;
    // A name that is not sent is not the first of its file.
    const linked = taken ? options.linked : new Map<string, string>();
    const file = describe(path, Buffer.concat([directory.diskPath, Buffer.from('/'), name]), linked);
    if (file === undefined) continue;
    if (file.type !== 'dir') {
      if (taken) yield file;
      continue;
    }
    // An ignored directory is sent only above something that is taken.
    let announced = taken;
    if (taken) yield file;
    for await (const below of walk({ path, diskPath: file.diskPath, state }, options)) {
      if (!announced) yield file;
      announced = true;
      yield below;
    }
  }
}

/**
 * The files of a context in order of paths, without those that .dockerignore excludes. Ignored directories are looked into
 * only where an exception could match. Sockets are left out.
 * @throws KilnError CONTEXT_INVALID naming what cannot be read; INVALID_ARGUMENT when `directory` is none
 */
export async function* walkContext(directory: string, options: WalkOptions = {}): AsyncGenerator<ContextFile> {
  const { dockerfile = 'Dockerfile', signal, ignoreFiles = ignoreFilesFor(dockerfile) } = options;
  const stats = look(directory, () => lstatSync(`${directory}/.`));
  if (stats === undefined || (stats.mode & constants.S_IFMT) !== constants.S_IFDIR) {
    throw new KilnError('INVALID_ARGUMENT', `the context ${JSON.stringify(directory)} is no directory`);
  }
  const always = new Set<string>();
  for (const path of options.ignoreFiles === undefined ? [dockerfile, ...ignoreFiles] : ignoreFiles) {
    for (let at = path; at !== ''; at = parentOf(at)) always.add(at);
  }
  const rules = firstRules(directory, ignoreFiles);
  const diskPath = Buffer.from(directory);
  yield* walk({ path: '', diskPath, state: rules.root }, { rules, always, signal, linked: new Map() });
}
