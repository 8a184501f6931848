import { posix } from 'node:path';
import type { Edge, HistoryEntry, ResolvedImage } from '#graph';
import type { Platform, RunConfig } from '#oci';
import { invalid } from '../invalid.ts';
import type { Arg } from '../parse/ast.ts';
import { Environment, splitVariable } from './environment.ts';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of all entries together: registries and runtimes take no larger config. */
const HISTORY_LIMIT = 4 * 1024 * 1024;

/** A stage's ARG, with the value it came to; undefined when it has none. */
export interface BuildArg {
  readonly name: string;
  readonly value: string | undefined;
  readonly node: Arg;
  /** the value is that of the global scope */
  readonly inherited: boolean;
}

export interface StageStart {
  readonly root: Edge;
  readonly platform: Platform;
  readonly image: ResolvedImage | undefined;
  readonly config: RunConfig;
  readonly author: string | undefined;
}

/** Where a stage has got to: its tree, what RUN sees, and the image that it would be. */
export class StageState {
  root: Edge;
  readonly platform: Platform;
  readonly image: ResolvedImage | undefined;
  /** without Env, which is `configEnv` */
  config: RunConfig;
  /** an ENV keeps its place when it is set again */
  readonly configEnv: Map<string, string>;
  readonly env: Environment;
  author: string | undefined;
  readonly history: HistoryEntry[];
  #historySize: number;
  readonly buildArgs: BuildArg[];
  workdirSet: boolean;
  /** the stage has a CMD of its own */
  cmdSet = false;

  constructor(start: StageStart, parent?: StageState) {
    this.root = start.root;
    this.platform = start.platform;
    this.image = start.image;
    const { Env, OnBuild: _fired, ...config } = start.config;
    this.config = config;
    this.author = start.author;
    this.configEnv = new Map((Env ?? []).map(splitVariable));
    if (!this.configEnv.has('PATH')) this.configEnv.set('PATH', DEFAULT_PATH);
    this.env = new Environment(parent?.env);
    for (const [name, value] of this.configEnv) this.env.set(name, value);
    this.history = [...(parent?.history ?? [])];
    this.#historySize = parent === undefined ? 0 : parent.#historySize;
    this.buildArgs = [...(parent?.buildArgs ?? [])];
    this.workdirSet = parent?.workdirSet ?? false;
    if (config.WorkingDir) this.config = { ...config, WorkingDir: this.#resolved(config.WorkingDir) };
  }

  /** What a stage that stands on this one begins with. ARGs go with it, as in BuildKit. */
  child(): StageState {
    const { root, platform, image, author } = this;
    return new StageState({ root, platform, image, author, config: this.runConfig() }, this);
  }

  runConfig(): RunConfig {
    return { ...this.config, Env: [...this.configEnv].map(([name, value]) => `${name}=${value}`) };
  }

  /** Absolute and clean, without a slash at the end. */
  get cwd(): string {
    return posix.normalize(this.config.WorkingDir || '/').replace(/(.)\/$/, '$1');
  }

  get user(): string {
    return this.config.User ?? '';
  }

  /** @returns the working directory as the image's config has it */
  changeDirectory(path: string): string {
    const resolved = this.#resolved(path);
    this.config = { ...this.config, WorkingDir: resolved };
    return resolved;
  }

  setEnv(name: string, value: string): void {
    this.env.set(name, value);
    this.configEnv.set(name, value);
  }

  /**
   * An entry without a layer, or with the one that the tree just got.
   * @throws KilnError DOCKERFILE_INVALID when the history becomes too large
   */
  commit(createdBy: string, layer = false): void {
    this.#historySize += createdBy.length;
    if (this.#historySize > HISTORY_LIMIT)
      throw invalid(`the image's history is larger than ${HISTORY_LIMIT} characters`, {
        hint: 'no registry takes such a config: shorten or join instructions',
      });
    this.history.push({ createdBy, emptyLayer: !layer, comment: 'buildkit.dockerfile.v0' });
  }

  /** An absolute path stays as it was written, as in BuildKit. */
  #resolved(path: string): string {
    const current = posix.join('/', this.config.WorkingDir ?? '');
    if (path === '') return current;
    return path.startsWith('/') ? path : posix.join(current, path).replace(/(.)\/$/, '$1');
  }
}
