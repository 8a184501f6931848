import { posix } from 'node:path';
import type { Edge, HistoryEntry, ResolvedImage } from '#graph';
import type { Platform, RunConfig } from '#oci';
import { invalid } from '../invalid.ts';
import type { Arg } from '../parse/ast.ts';
import type { WorkMeter } from '../work-meter.ts';
import { ConfigEnvironment } from './config-environment.ts';
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
  /** of the whole Dockerfile */
  readonly meter: WorkMeter;
}

/** Where a stage has got to: its tree, what RUN sees, and the image that it would be. */
export class StageState {
  root: Edge;
  readonly platform: Platform;
  readonly image: ResolvedImage | undefined;
  /** without what grows by the entry: that is below, and put together by `runConfig` */
  config: RunConfig;
  readonly labels: Map<string, string>;
  readonly volumes: Set<string>;
  readonly ports: Set<string>;
  readonly triggers: string[] = [];
  readonly configEnv: ConfigEnvironment;
  readonly env: Environment;
  author: string | undefined;
  readonly history: HistoryEntry[];
  #historySize: number;
  readonly buildArgs: BuildArg[];
  workdirSet: boolean;
  /** name of the context that the first layer has the files of; no instruction made it */
  contextLayer: string | undefined;
  /** the stage has a CMD of its own */
  cmdSet = false;

  constructor(start: StageStart, parent?: StageState) {
    this.root = start.root;
    this.platform = start.platform;
    this.image = start.image;
    const { Env, OnBuild: _fired, Labels, Volumes, ExposedPorts, ...config } = start.config;
    this.config = config;
    this.labels = new Map(Object.entries(Labels ?? {}));
    this.volumes = new Set(Object.keys(Volumes ?? {}));
    this.ports = new Set(Object.keys(ExposedPorts ?? {}));
    this.author = start.author;
    this.configEnv = new ConfigEnvironment(Env ?? []);
    if (!this.configEnv.has('PATH')) this.configEnv.set('PATH', DEFAULT_PATH);
    start.meter.copy((Env ?? []).length + this.labels.size + this.volumes.size + this.ports.size);
    start.meter.copy(parent === undefined ? 0 : parent.history.length + parent.buildArgs.length);
    this.env = new Environment(parent?.env, start.meter);
    for (const entry of this.configEnv.toArray()) this.env.set(...splitVariable(entry));
    this.history = [...(parent?.history ?? [])];
    this.#historySize = parent === undefined ? 0 : parent.#historySize;
    this.buildArgs = [...(parent?.buildArgs ?? [])];
    this.workdirSet = parent?.workdirSet ?? false;
    this.contextLayer = parent?.contextLayer;
    if (config.WorkingDir) this.config = { ...config, WorkingDir: this.#resolved(config.WorkingDir) };
  }

  /** What a stage that stands on this one begins with. ARGs go with it, as in BuildKit. */
  child(): StageState {
    const { root, platform, image, author } = this;
    const { meter } = this.env;
    return new StageState({ root, platform, image, author, meter, config: this.runConfig() }, this);
  }

  runConfig(): RunConfig {
    const { labels, volumes, ports, triggers } = this;
    return {
      ...this.config,
      Env: this.configEnv.toArray(),
      ...(labels.size === 0 ? {} : { Labels: Object.fromEntries(labels) }),
      ...(volumes.size === 0 ? {} : { Volumes: emptyObjects(volumes) }),
      ...(ports.size === 0 ? {} : { ExposedPorts: emptyObjects(ports) }),
      ...(triggers.length === 0 ? {} : { OnBuild: triggers }),
    };
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

  /** The instructions' entries; as in BuildKit, a layer that none of them made comes after. */
  get wholeHistory(): readonly HistoryEntry[] {
    if (this.contextLayer === undefined) return this.history;
    const createdBy = `FROM ${this.contextLayer}`;
    return [...this.history, { createdBy, emptyLayer: false, comment: 'buildkit.exporter.image.v0' }];
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

/** A set, as an image's config has it. */
function emptyObjects(names: ReadonlySet<string>): Record<string, Record<string, never>> {
  return Object.fromEntries([...names].map((name) => [name, {}]));
}
