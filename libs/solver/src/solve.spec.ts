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
import { type Digest, digestOf, samePlatform } from '#oci';
import type { BuildEvent } from '#protocol';
import { KilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import type { OpRunner } from './op-runner.ts';
import { solve, VertexFailure } from './solve.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const label = { stage: '', line: 1, ignoreCache: false };

/** A tree in these tests is a text; a step gives its own name and its inputs' texts. */
interface Text {
  readonly text: string;
  readonly id: ResultId;
  /** what was merged to it, where it is no result itself */
  readonly merged?: readonly ResultId[];
  readonly trees?: readonly Digest[];
}

const resultsOf = (inputs: readonly Text[]): readonly ResultId[] => inputs.flatMap(({ id, merged }) => merged ?? [id]);

class Graph {
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
  run(name: string, on: readonly Edge[], { ignoreCache = false, on: where = platform } = {}): Edge {
    const op = { kind: 'exec', args: [name], env: [], cwd: '/', user: '', network: 'none' } as const;
    return this.builder.add(op, where, on, { ...label, name, ignoreCache });
  }
  make(path: string, on: Edge): Edge {
    return this.builder.add({ kind: 'mkdir', path, mode: 0o755 }, arm64, [on], { ...label, name: path });
  }
}

/** Commands in these tests: what they make of their inputs' texts. */
type Commands = Readonly<Record<string, (inputs: readonly string[]) => string | Promise<string>>>;

class TextRunner implements OpRunner<Text> {
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
  load = (_vertex: Vertex, { result }: CacheRecord): Text => ({ text: `loaded ${result.tree}`, id: result.id });
  selection = (): Digest => digestOf('selection');
  place: OpRunner<Text>['place'] = async () => 'here';
  delegate: OpRunner<Text>['delegate'] = async () => false;
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
  settle: OpRunner<Text>['settle'] = async (_vertex, value, inputs) => ({
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
  isEmpty = async (): Promise<boolean> => false;
}

function treeOf({ text, trees }: Text): Digest {
  if (trees !== undefined) return digestOf(trees.join('+'));
  return text.startsWith('loaded ') ? (text.slice('loaded '.length) as Digest) : digestOf(text);
}

function memoryCache(): CacheStore & { lookups: number } {
  const records = new Map<CacheKey, CacheRecord[]>();
  const ops = new Set<string>();
  return {
    lookups: 0,
    async lookup(keys, asked) {
      this.lookups++;
      const found = keys.flatMap((key) => (records.has(key) ? [[key, records.get(key) ?? []] as const] : []));
      return { records: new Map(found), ops: new Set(asked.filter((op) => ops.has(op))) };
    },
    async save(keys, result) {
      for (const { key, kind, op } of keys) {
        records.set(key, [{ key, kind, result }, ...(records.get(key) ?? [])]);
        ops.add(op);
      }
    },
    forget: async () => {},
    findDeltas: async () => new Map(),
    saveDelta: async () => {},
  };
}

interface Solved {
  readonly root: Text;
  readonly roots: readonly Text[];
  readonly ran: readonly string[];
  readonly events: readonly BuildEvent[];
}

async function run(
  definition: Definition,
  cache: CacheStore,
  commands?: Commands,
  signal = new AbortController().signal,
): Promise<Solved> {
  const runner = new TextRunner(commands);
  const events: BuildEvent[] = [];
  const report = (event: BuildEvent): void => void events.push(event);
  const roots = await solve({ definition, runner, cache, clock: systemClock, report, parallelism: 4, signal });
  const [root] = roots;
  if (root === undefined) throw new Error('no root');
  return { root, roots, ran: runner.ran, events };
}

function chain(names: readonly string[], options: { base?: string; ignore?: string } = {}): Definition {
  const graph = new Graph();
  const root = names.reduce(
    (edge, name) => graph.run(name, [edge], { ignoreCache: name === options.ignore }),
    graph.image(options.base),
  );
  return graph.builder.finish(root);
}

describe('solve', () => {
  it('runs everything once, then nothing, asking the cache once', async () => {
    const cache = memoryCache();
    expect((await run(chain(['a', 'b', 'c']), cache)).ran).toEqual(['a', 'b', 'c']);
    cache.lookups = 0;
    const again = await run(chain(['a', 'b', 'c']), cache);
    expect(again.ran).toEqual([]);
    expect(cache.lookups).toBe(1);
    const hits = again.events.filter((event) => event.type === 'vertexDone' && event.outcome === 'hit');
    expect(hits).toHaveLength(3);
  });

  it('runs only what a change reaches', async () => {
    const cache = memoryCache();
    await run(chain(['a', 'b', 'c']), cache);
    expect((await run(chain(['a', 'x', 'c']), cache)).ran).toEqual(['x', 'c']);
  });

  it('stops at a step that made the same tree: what follows is found by content', async () => {
    const cache = memoryCache();
    const commands = { a: () => 'same', x: () => 'same' };
    await run(chain(['a', 'b']), cache, commands);
    const changed = await run(chain(['x', 'b']), cache, commands);
    expect(changed.ran).toEqual(['x']);
    const last = changed.events.findLast((event) => event.type === 'vertexDone');
    expect(last).toMatchObject({ outcome: 'hit', hit: { key: 'content' } });
    // The definition key was added, so the next build needs one look-up.
    expect((await run(chain(['x', 'b']), cache, commands)).ran).toEqual([]);
  });

  it('with --no-cache runs anew, and what follows only where the tree differs', async () => {
    const cache = memoryCache();
    let run1 = 0;
    const commands = { a: () => `a${run1}`, b: () => 'b' };
    await run(chain(['a', 'b', 'c']), cache, commands);
    expect((await run(chain(['a', 'b', 'c'], { ignore: 'a' }), cache, commands)).ran).toEqual(['a']);
    run1++;
    expect((await run(chain(['a', 'b', 'c'], { ignore: 'a' }), cache, commands)).ran).toEqual(['a', 'b']);
  });

  it('runs independent stages at the same time', async () => {
    const graph = new Graph();
    const base = graph.image();
    const both = graph.run('join', [graph.run('left', [base]), graph.run('right', [base])]);
    const met = Promise.withResolvers<void>();
    let waiting = 0;
    const meet = async (): Promise<string> => {
      if (++waiting === 2) met.resolve();
      await met.promise;
      return 'met';
    };
    expect((await run(graph.builder.finish(both), memoryCache(), { left: meet, right: meet })).root.text).toBe(
      'join(met,met)',
    );
  });

  it('names the step that failed, once, and stops the others', async () => {
    const graph = new Graph();
    const base = graph.image();
    const started = Promise.withResolvers<void>();
    const commands: Commands = {
      bad: async () => {
        await started.promise;
        throw new KilnError('STEP_FAILED', 'exit code: 1');
      },
      slow: async () => {
        started.resolve();
        await systemClock.sleep(20);
        return 'slow';
      },
    };
    const definition = graph.builder.finish(
      graph.run('join', [graph.run('bad', [base]), graph.run('after slow', [graph.run('slow', [base])])]),
    );
    const runner = new TextRunner(commands);
    const events: BuildEvent[] = [];
    const solving = solve({
      definition,
      runner,
      cache: memoryCache(),
      clock: systemClock,
      report: (event) => void events.push(event),
      parallelism: 4,
      signal: new AbortController().signal,
    });
    const failure: unknown = await solving.catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(VertexFailure);
    expect(failure).toMatchObject({ vertex: { label: { name: 'bad' } }, cause: { code: 'STEP_FAILED' } });
    expect(events.filter((event) => event.type === 'vertexFailed')).toHaveLength(1);
    expect(runner.ran).not.toContain('after slow');
    expect(runner.ran).not.toContain('join');
  });

  it('records nothing of a step that failed', async () => {
    const cache = memoryCache();
    const bad = { b: () => Promise.reject(new KilnError('STEP_FAILED', 'no')) };
    await expect(run(chain(['a', 'b']), cache, bad)).rejects.toThrow('no');
    expect((await run(chain(['a', 'b']), cache)).ran).toEqual(['b']);
  });

  it('ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const commands = { a: () => (stop.abort(new KilnError('CANCELLED', 'by the user')), 'a') };
    await expect(run(chain(['a', 'b']), memoryCache(), commands, stop.signal)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  describe('merges', () => {
    /** base → a → LINK f → b → LINK g */
    const linked = (options: { base?: string; a?: string; ignore?: string } = {}): Definition => {
      const graph = new Graph();
      const a = graph.run(options.a ?? 'a', [graph.image(options.base)], { ignoreCache: options.ignore === 'a' });
      const b = graph.run('b', [graph.link('f', a, options.ignore === 'f')], { ignoreCache: options.ignore === 'b' });
      return graph.builder.finish(graph.link('g', b));
    };

    it('run nothing, count as no step, and ask for nothing', async () => {
      const cache = memoryCache();
      const first = await run(linked(), cache);
      expect(first.ran.toSorted()).toEqual(['a', 'b', 'f', 'g']);
      expect(first.root.text).toBe('b(a(base)+f(empty))+g(empty)');
      expect(first.events.filter((event) => event.type === 'vertexDone' && event.outcome === 'run')).toHaveLength(4);
      cache.lookups = 0;
      const again = await run(linked(), cache);
      expect(again.ran).toEqual([]);
      expect(cache.lookups).toBe(1);
      const done = again.events.flatMap((event) => (event.type === 'vertexDone' ? [event.outcome] : []));
      expect(done.toSorted()).toEqual(['done', 'done', 'done', 'done', 'hit', 'hit', 'hit', 'hit']);
    });

    it('let a linked copy hit on whatever is below', async () => {
      const cache = memoryCache();
      await run(linked(), cache);
      const rebased = await run(linked({ base: 'newer' }), cache);
      expect(rebased.ran).toEqual(['a', 'b']);
      const changed = await run(linked({ a: 'x' }), cache);
      expect(changed.ran).toEqual(['x', 'b']);
    });

    it('need nothing below a hit on them, and fix both results that they merge', async () => {
      const cache = memoryCache();
      await run(linked(), cache);
      const graph = new Graph();
      const merged = graph.link('f', graph.run('a', [graph.image()]));
      const again = await run(graph.builder.finish(graph.run('b', [merged])), cache);
      expect(again.ran).toEqual([]);
      expect(again.events.some((event) => event.type === 'vertexStarted')).toBe(false);
    });

    it('take nothing by definition above a step that runs anew, on either side', async () => {
      const cache = memoryCache();
      let run1 = 0;
      const commands: Commands = { a: () => `a${run1}`, f: () => `f${run1}` };
      await run(linked(), cache, commands);
      // The same trees again: what stands on them is found by content.
      expect((await run(linked({ ignore: 'a' }), cache, commands)).ran).toEqual(['a']);
      expect((await run(linked({ ignore: 'f' }), cache, commands)).ran).toEqual(['f']);
      run1++;
      expect((await run(linked({ ignore: 'f' }), cache, commands)).ran).toEqual(['f', 'b']);
      expect((await run(linked({ ignore: 'a' }), cache, commands)).ran).toEqual(['a', 'b']);
    });
  });
});

describe('steps that run elsewhere', () => {
  interface Delegated {
    readonly steps: readonly string[];
    readonly ran: readonly string[];
  }

  /** Solves with another node for arm64, which is there as long as `there` says. */
  async function farm(
    definition: Definition,
    cache: CacheStore,
    there: () => boolean = () => true,
    commands?: Commands,
  ) {
    const here = new TextRunner(commands);
    const parts: Delegated[] = [];
    const given: (string | undefined)[] = [];
    here.place = async ({ op, platform: wanted }) =>
      op.kind === 'exec' && samePlatform(wanted, arm64) && there() ? 'elsewhere' : 'here';
    here.delegate = async (part, signal) => {
      if (!there()) return false;
      const runner = new TextRunner(commands);
      const { definition: below, results, steps } = part;
      const report = (): void => undefined;
      await solve({ definition: below, runner, cache, clock: systemClock, report, parallelism: 4, results, signal });
      const names = [...below.vertices.values()]
        .filter(({ digest }) => steps.has(digest))
        .map((each) => each.label.name);
      parts.push({ steps: names, ran: runner.ran });
      given.push(...[...results.keys()].map((digest) => below.vertices.get(digest)?.label.name));
      return true;
    };
    const signal = new AbortController().signal;
    const report = (): void => undefined;
    const roots = await solve({ definition, runner: here, cache, clock: systemClock, report, parallelism: 4, signal });
    return { roots, ran: here.ran, parts, given };
  }

  /** A stage for each platform, on tools that are made once. */
  function cross(ignoreCache = false): Definition {
    const graph = new Graph();
    const tools = graph.run('tools', [graph.image()], { ignoreCache });
    const own = graph.run('test', [graph.run('build', [graph.image(), tools])]);
    const first = graph.run('arm one', [graph.image('arm base')], { on: arm64, ignoreCache });
    const second = graph.run('arm two', [graph.make('/between', first), tools], { on: arm64, ignoreCache });
    return graph.builder.finish(own, graph.make('/last', second));
  }

  it('go in as few parts as their inputs allow, and what everyone can do stays', async () => {
    const cache = memoryCache();
    const wait = { tools: () => systemClock.sleep(20).then(() => 'tools') };
    const { ran, parts } = await farm(cross(), cache, undefined, wait);
    // While the tools are not there, only the first can go; what is between runs where it is needed.
    expect(ran.toSorted()).toEqual(['/between', '/last', 'build', 'test', 'tools'].toSorted());
    expect(parts).toEqual([
      { steps: ['arm one'], ran: ['arm one'] },
      { steps: ['arm two'], ran: ['arm two'] },
    ]);
  });

  it('go together where nothing else is waited for', async () => {
    const graph = new Graph();
    const first = graph.run('one', [graph.image('arm base')], { on: arm64 });
    const second = graph.run('two', [graph.make('/between', first)], { on: arm64 });
    const { ran, parts } = await farm(graph.builder.finish(graph.make('/last', second)), memoryCache());
    expect(ran).toEqual(['/last']);
    expect(parts).toEqual([{ steps: ['one', '/between', 'two'], ran: ['one', '/between', 'two'] }]);
  });

  it('stand on linked copies, which are none of their results but of what these merge', async () => {
    const cache = memoryCache();
    const build = (ignoreCache: boolean): Definition => {
      const graph = new Graph();
      const first = graph.run('one', [graph.link('early', graph.image('arm base'))], { on: arm64 });
      const second = graph.run('two', [graph.link('late', first, ignoreCache)], { on: arm64, ignoreCache });
      return graph.builder.finish(second);
    };
    const { ran, parts, given } = await farm(build(false), cache);
    expect(ran.toSorted()).toEqual(['early', 'late']);
    expect(given).toContain('early');
    expect(given.filter((name) => name?.startsWith('LINK'))).toEqual([]);
    expect(parts.flatMap((part) => part.ran)).toEqual(['one', 'two']);
    const again = await farm(build(true), cache, undefined, { late: () => 'later' });
    expect([again.ran, again.parts]).toEqual([['late'], [{ steps: ['two'], ran: ['two'] }]]);
  });

  it('are hits for the next build, which asks nobody', async () => {
    const cache = memoryCache();
    await farm(cross(), cache);
    const again = await farm(cross(), cache);
    expect([again.ran, again.parts]).toEqual([[], []]);
  });

  it('without the cache run once more, each once, on what this build made', async () => {
    const cache = memoryCache();
    let round = 0;
    const commands = { tools: () => `tools ${round}`, 'arm two': (on: readonly string[]) => `two on ${on.join()}` };
    await farm(cross(), cache, undefined, commands);
    round = 1;
    const { ran, parts } = await farm(cross(true), cache, undefined, commands);
    expect(ran).toContain('tools');
    expect(parts.flatMap((part) => part.ran).toSorted()).toEqual(['arm one', 'arm two'].toSorted());
  });

  it('run here when the other node has gone', async () => {
    let asked = 0;
    const { ran, parts } = await farm(cross(), memoryCache(), () => asked++ === 0);
    expect(parts).toEqual([]);
    expect(ran).toContain('arm two');
  });

  it('are refused before anything runs where nobody can run them', async () => {
    const runner = new TextRunner();
    runner.place = ({ platform: { architecture } }) =>
      architecture === 'arm64'
        ? Promise.reject(new KilnError('PLATFORM_UNAVAILABLE', 'nobody'))
        : Promise.resolve('here');
    const solving = solve({
      definition: cross(),
      runner,
      cache: memoryCache(),
      clock: systemClock,
      report: () => undefined,
      parallelism: 4,
      signal: new AbortController().signal,
    });
    await expect(solving).rejects.toMatchObject({
      vertex: { label: { name: 'arm one' } },
      cause: { message: 'nobody' },
    });
    expect(runner.ran).toEqual([]);
  });
});

describe('several roots', () => {
  it('are solved in their order, and what they share runs once', async () => {
    const graph = new Graph();
    const shared = graph.run('shared', [graph.image()]);
    const definition = graph.builder.finish(graph.run('two', [shared]), graph.run('one', [shared]), shared);
    const { roots, ran } = await run(definition, memoryCache());
    expect(roots.map(({ text }) => text)).toEqual(['two(shared(base))', 'one(shared(base))', 'shared(base)']);
    expect(ran.filter((name) => name === 'shared')).toHaveLength(1);
  });
});
