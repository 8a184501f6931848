import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContentStore, isWithin, joinPath, type TreeEntry } from '#content';
import { type ContextManifest, type IngestedContext, ingestTar, makeManifest } from '#context';
import { withoutCredentials } from '#graph';
import { type Bytes, isKilnError, KilnError } from '#std';
import { readModuleUrls, readSubmodules, submoduleUrl } from './git-modules.ts';
import { ProgramFailure, type ProgramOptions, runProgram, streamProgram, UNPRIVILEGED_ID } from './git-process.ts';
import type { GitLimits, GitRequest } from './git-repositories.ts';

type Environment = Readonly<Record<string, string>>;

export interface GitTreeOptions {
  readonly dir: string;
  readonly content: ContentStore;
  readonly limits: GitLimits;
  /** of git without network */
  readonly localEnv: Environment;
  /** Runs git in `cwd` with a way to `remote`. */
  readonly remotely: <T>(remote: string, cwd: string, work: (around: Surroundings) => Promise<T>) => Promise<T>;
}

/** What a git with a way to a remote is run with. */
export type Surroundings = Pick<ProgramOptions, 'env' | 'signal'>;

/** A repository on disk, as far as it was fetched. */
interface Repository {
  readonly remote: string;
  readonly commit: string;
  readonly git: ProgramOptions;
}

const MAX_DEPTH = 8;
const MAX_PATH_BYTES = 4_096;
/** What `git archive` leaves out or rewrites stays as it is in a checkout. */
const ATTRIBUTES = '* -export-ignore -export-subst\n';

/** Reads the files of one commit, submodules included. */
export class GitTreeReader {
  readonly #options: GitTreeOptions;
  #filesLeft: number;
  #bytesLeft: number;

  constructor(options: GitTreeOptions) {
    this.#options = options;
    this.#filesLeft = options.limits.maxFiles;
    this.#bytesLeft = options.limits.maxBytes;
  }

  async read(request: GitRequest, signal: AbortSignal): Promise<ContextManifest> {
    return makeManifest(await this.#read(request, signal, 0));
  }

  async #read(request: GitRequest, signal: AbortSignal, depth: number): Promise<readonly TreeEntry[]> {
    const { remote, commit, subdir } = request;
    await using folder = await this.#folder();
    const repository: Repository = {
      remote,
      commit,
      git: {
        cwd: folder.path,
        env: this.#options.localEnv,
        maxFileBytes: this.#options.limits.maxBytes,
        signal,
      },
    };
    await this.#fetch(repository, request.ref);
    await this.#checkSubdir(repository, subdir);
    const paths = subdir === '' ? [] : ['--', subdir];
    const whole = await this.#ingest(repository, ['git', 'archive', '--format=tar', commit, ...paths]);
    const entries = new Map(below(whole, subdir).map((entry) => [entry.path, entry]));
    if (request.submodules) {
      for (const entry of await this.#submodules(repository, subdir, signal, depth)) entries.set(entry.path, entry);
    }
    if (request.keepGitDir && subdir === '') {
      for (const entry of await this.#gitDir(repository, request.ref)) entries.set(entry.path, entry);
    }
    return [...entries.values()];
  }

  /** A directory of nobody's own. */
  async #folder(): Promise<{ readonly path: string } & AsyncDisposable> {
    const path = await mkdtemp(join(this.#options.dir, 'r-'));
    await chmod(path, 0o700);
    await chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
  }

  /** As little as the server gives: the commit alone, else its ref, else all refs. */
  async #fetch({ remote, commit, git }: Repository, ref: string): Promise<void> {
    const format = commit.length === 64 ? ['--object-format=sha256'] : [];
    await runProgram(['git', 'init', '--quiet', '--template=', ...format], git);
    await mkdir(join(git.cwd, '.git/info'));
    await writeFile(join(git.cwd, '.git/info/attributes'), ATTRIBUTES);
    const name = ref === commit || ref === '' ? [] : [ref];
    const attempts = [
      ['--depth=1', 'origin', commit],
      ...(name.length === 0
        ? []
        : [
            ['--depth=1', 'origin', ...name],
            ['origin', ...name],
          ]),
      ['origin', '+refs/heads/*:refs/kiln/heads/*', '+refs/tags/*:refs/kiln/tags/*'],
    ];
    let refusal: unknown;
    for (const attempt of attempts) {
      try {
        await this.#options.remotely(remote, git.cwd, async (around) => {
          const quiet = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance'];
          try {
            await runProgram(['git', 'fetch', ...quiet, ...attempt], { ...git, ...around });
          } catch (thrown) {
            if (!(thrown instanceof ProgramFailure) || !mayBeElsewhere.test(thrown.complaint)) throw thrown;
            refusal = thrown;
          }
        });
        await runProgram(['git', 'cat-file', '-e', `${commit}^{commit}`], git);
        return;
      } catch (thrown) {
        if (!(thrown instanceof ProgramFailure)) throw thrown;
        refusal ??= thrown;
      }
    }
    throw new KilnError(
      'SOURCE_NOT_FOUND',
      `the git repository ${withoutCredentials(remote)} does not give the commit ${commit}`,
      { hint: 'check that it is there, and on a branch or tag', cause: refusal },
    );
  }

  /** Links are not followed: a tree names its own directories only. */
  async #checkSubdir({ remote, commit, git }: Repository, subdir: string): Promise<void> {
    if (subdir === '') return;
    const type = await runProgram(['git', 'cat-file', '-t', `${commit}:${subdir}`], git).catch((thrown: unknown) => {
      if (thrown instanceof ProgramFailure) return '';
      throw thrown;
    });
    if (type.trim() === 'tree') return;
    throw new KilnError(
      'SOURCE_NOT_FOUND',
      `there is no directory ${JSON.stringify(subdir)} in ${withoutCredentials(remote)} at ${commit}`,
      { hint: 'the directory stands after the ref: #ref:directory; links are not followed' },
    );
  }

  async #ingest({ remote, git }: Repository, command: readonly [string, ...string[]]): Promise<readonly TreeEntry[]> {
    const limits = { maxFiles: this.#filesLeft, maxBytes: this.#bytesLeft, maxPathBytes: MAX_PATH_BYTES };
    let ingested: IngestedContext;
    try {
      ingested = await ingestTar(this.#counted(streamProgram(command, git)), this.#options.content, limits, git.signal);
    } catch (thrown) {
      if (!isKilnError(thrown, 'LIMIT_EXCEEDED', 'CONTEXT_INVALID')) throw thrown;
      const why = thrown.message.replace(/^the context has more than/, 'it has more than');
      throw new KilnError(
        thrown.code === 'LIMIT_EXCEEDED' ? 'LIMIT_EXCEEDED' : 'STEP_FAILED',
        `the git repository ${withoutCredentials(remote)} cannot be read: ${why}`,
        { hint: 'name a directory of it: #ref:directory', cause: thrown },
      );
    }
    this.#filesLeft -= ingested.manifest.entries.length;
    return ingested.manifest.entries;
  }

  async *#counted(source: Bytes): Bytes {
    for await (const chunk of source) {
      this.#bytesLeft -= chunk.byteLength;
      yield chunk;
    }
  }

  async #submodules(
    repository: Repository,
    subdir: string,
    signal: AbortSignal,
    depth: number,
  ): Promise<readonly TreeEntry[]> {
    const { remote, commit, git } = repository;
    const list = [
      'git',
      'ls-tree',
      '-r',
      '-z',
      '--full-tree',
      commit,
      ...(subdir === '' ? [] : ['--', subdir]),
    ] as const;
    const modules = await readSubmodules(streamProgram([...list], git));
    if (modules.length === 0) return [];
    if (depth === MAX_DEPTH) {
      throw new KilnError('LIMIT_EXCEEDED', `submodules lie within each other more than ${MAX_DEPTH} deep`);
    }
    const urls = readModuleUrls(
      await runProgram(['git', 'config', '--blob', `${commit}:.gitmodules`, '-z', '--list'], git).catch(() => ''),
    );
    const found: TreeEntry[] = [];
    for (const { path, commit: pinned } of modules) {
      const url = submoduleUrl(path, urls.get(path), remote);
      const request = { remote: url, ref: '', commit: pinned, subdir: '', keepGitDir: false, submodules: true };
      const place = subdir === '' ? path : path.slice(subdir.length + 1);
      for (const entry of await this.#read(request, signal, depth + 1)) {
        found.push({ ...entry, path: joinPath(place, entry.path) });
      }
    }
    return found;
  }

  /** `.git` as after a shallow clone, with nothing in it of this machine. */
  async #gitDir(repository: Repository, ref: string): Promise<readonly TreeEntry[]> {
    const { remote, commit, git } = repository;
    const run = (...args: readonly string[]): Promise<string> => runProgram(['git', ...args], git);
    await run('update-ref', '--no-deref', 'HEAD', commit);
    if (/^refs\/(?:heads|tags)\//.test(ref)) await run('update-ref', ref, commit);
    await run('read-tree', commit);
    await run('config', 'remote.origin.url', withoutCredentials(remote));
    await run('config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*');
    await rm(join(git.cwd, '.git/info'), { recursive: true, force: true });
    await rm(join(git.cwd, '.git/logs'), { recursive: true, force: true });
    const time = (await run('log', '-1', '--format=%ct', commit)).trim();
    return await this.#ingest(repository, ['tar', '--sort=name', `--mtime=@${time}`, '-cf', '-', '.git']);
  }
}

/** The server has it perhaps, but not in this way. */
const mayBeElsewhere =
  /not our ref|unadvertised object|shallow|does not (?:allow|support)|no such remote ref|find remote ref|--depth/i;

/** What lies below a directory, by its path from there. */
function below(entries: readonly TreeEntry[], subdir: string): readonly TreeEntry[] {
  if (subdir === '') return entries;
  return entries
    .filter(({ path }) => path !== subdir && isWithin(path, subdir))
    .map((entry) => ({ ...entry, path: entry.path.slice(subdir.length + 1) }));
}
