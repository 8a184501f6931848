import {
  type CacheKey,
  type CacheRecord,
  type CacheStore,
  imageResultId,
  type InputContent,
  mergeResultId,
  type ResultId,
  stepResultId,
} from '#cache';
import { type Definition, DefinitionBuilder, type Edge, type Vertex } from '#graph';
import { type Digest, digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { type Clock, systemClock } from '#std';

import type { OpRunner } from './op-runner.ts';
import type { SolveOptions } from './graph-solver.ts';
import { solve } from './solve.ts';

export const platform = { os: 'linux', architecture: 'amd64' };
export const arm64 = { os: 'linux', architecture: 'arm64' };
export const label = { stage: '', line: 1, ignoreCache: false };

/** A tree in these tests is a text; a step gives its own name and its inputs' texts. */
export interface Text {
  readonly text: string;
  readonly id: ResultId;
  /** what was merged to it, where it is no result itself */
  readonly merged?: readonly ResultId[];
  readonly trees?: readonly Digest[];
}

export const resultsOf = (inputs: readonly Text[]): readonly ResultId[] =>
  inputs.flatMap(({ id, merged }) => merged ?? [id]);

interface RunOptions {
  readonly ignoreCache?: boolean;
  readonly on?: typeof platform;
  readonly ttlMs?: number;
}

export class Graph {
  readonly builder = new DefinitionBuilder();
  image(name = 'base'): Edge {
    return this.builder.add({ kind: 'image', reference: name, digest: digestOf(name) }, platform, [], {
      ...label,
      name,
    });
  }
  /** A linked copy of `name` on top of `on`. */
  link(name: string, on: Edge, ignoreCache = false): Edge {
    const copied = this.run(name, [this.image('empty')], { ignoreCache });
    return this.builder.add({ kind: 'merge' }, platform, [on, copied], { ...label, name: `LINK ${name}` });
  }
  run(name: string, on: readonly Edge[], { ignoreCache = false, on: where = platform, ttlMs }: RunOptions = {}): Edge {
    const op = { kind: 'exec', args: [name], env: [], cwd: '/', user: '', network: 'none' } as const;
    return this.builder.add(op, where, on, { ...label, name, ignoreCache, ttlMs });
  }
  make(path: string, on: Edge): Edge {
    return this.builder.add({ kind: 'mkdir', path, mode: 0o755 }, arm64, [on], { ...label, name: path });
  }
}

/** Commands in these tests: what they make of their inputs' texts. */
export type Commands = Readonly<Record<string, (inputs: readonly string[]) => string | Promise<string>>>;

export class TextRunner implements OpRunner<Text> {
  readonly ran: string[] = [];
  readonly commands: Commands;
  constructor(commands: Commands = {}) {
    this.commands = commands;
  }
  source = async ({ op }: Vertex): Promise<Text> => {
    if (op.kind !== 'image') throw new Error(op.kind);
    return { text: op.reference, id: imageResultId(op.digest) };
  };
  combine = (_vertex: Vertex, inputs: readonly Text[]): Text => ({
    text: inputs.map(({ text }) => text).join('+'),
    id: mergeResultId(inputs.map(({ id }) => id)),
    merged: resultsOf(inputs),
    trees: inputs.map(treeOf),
  });
  adopt: OpRunner<Text>['adopt'] = async ({ result }, inputs) => ({
    ...result,
    id: stepResultId(
      inputs.map(({ id }) => id),
      result.tree,
    ),
    parents: resultsOf(inputs),
  });
  load = (_vertex: Vertex, { result }: CacheRecord): Text => ({ text: `loaded ${result.tree}`, id: result.id });
  selection = (): Digest => digestOf('selection');
  place: OpRunner<Text>['place'] = async () => 'here';
  delegate: OpRunner<Text>['delegate'] = async () => false;
  follow: OpRunner<Text>['follow'] = async () => true;
  exitCode: OpRunner<Text>['exitCode'] = () => undefined;
  resultIds = async (values: readonly Text[]): Promise<readonly ResultId[]> => resultsOf(values);
  contents = async (_vertex: Vertex, inputs: readonly Text[]): Promise<InputContent[]> =>
    inputs.map((input) => ({ tree: treeOf(input) }));
  run = async ({ label: { name } }: Vertex, inputs: readonly Text[]): Promise<Text> => {
    this.ran.push(name);
    const texts = inputs.map((input) => input.text);
    const text = (await this.commands[name]?.(texts)) ?? `${name}(${texts.join()})`;
    return {
      text,
      id: stepResultId(
        inputs.map((input) => input.id),
        digestOf(text),
      ),
    };
  };
  settle: OpRunner<Text>['settle'] = async (_vertex, value, inputs, { reserve, save }) => {
    const made = await reserve({
      id: value.id,
      parents: resultsOf(inputs),
      layers: [],
      tree: digestOf(value.text),
      empty: false,
      costMs: 1,
      startedAtMs: 0,
      finishedAtMs: 1,
      producer: { buildId: 'b', builderId: 'n', scope: 'main' },
    });
    await save(made);
  };
  isEmpty = async (): Promise<boolean> => false;
}

export function treeOf({ text, trees }: Text): Digest {
  if (trees !== undefined) return digestOf(trees.join('+'));
  return text.startsWith('loaded ') ? (text.slice('loaded '.length) as Digest) : digestOf(text);
}

export function memoryCache(): CacheStore & { lookups: number } {
  const records = new Map<CacheKey, CacheRecord[]>();
  const ops = new Set<string>();
  return {
    lookups: 0,
    async lookup(keys, asked) {
      this.lookups++;
      const found = keys.flatMap((key) => (records.has(key) ? [[key, records.get(key) ?? []] as const] : []));
      return { records: new Map(found), ops: new Set(asked.filter((op) => ops.has(op))) };
    },
    reserve: async (result) => result,
    async save(keys, result, confirmedAtMs) {
      for (const { key, kind, op } of keys) {
        records.set(key, [{ key, kind, result, confirmedAtMs }, ...(records.get(key) ?? [])]);
        ops.add(op);
      }
      return result;
    },
    forget: async () => {},
    findDeltas: async () => new Map(),
    saveDelta: async () => {},
  };
}

export interface Solved {
  readonly root: Text;
  readonly roots: readonly Text[];
  readonly ran: readonly string[];
  readonly events: readonly BuildEvent[];
}

/** To the last record. */
export async function solveAll<R>(options: SolveOptions<R>): Promise<readonly R[]> {
  await using solved = await solve(options);
  await solved.settled();
  return solved.roots;
}

export async function run(
  definition: Definition,
  cache: CacheStore,
  commands?: Commands,
  signal = new AbortController().signal,
  clock: Clock = systemClock,
): Promise<Solved> {
  const runner = new TextRunner(commands);
  const events: BuildEvent[] = [];
  const report = (event: BuildEvent): void => void events.push(event);
  const roots = await solveAll({ definition, runner, cache, clock, report, parallelism: 4, signal });
  const [root] = roots;
  if (root === undefined) throw new Error('no root');
  return { root, roots, ran: runner.ran, events };
}

export function chain(names: readonly string[], options: { base?: string; ignore?: string } = {}): Definition {
  const graph = new Graph();
  const root = names.reduce(
    (edge, name) => graph.run(name, [edge], { ignoreCache: name === options.ignore }),
    graph.image(options.base),
  );
  return graph.builder.finish(root);
}
