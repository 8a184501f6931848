import { type Definition, DefinitionBuilder, type Edge, type VertexLabel } from '#graph';
import { type Digest, digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { chooseHits } from './choose-hits.ts';
import { imageResultId, scratchResultId } from './keys.ts';
import type { CacheKey, CacheRecord, ResultId } from './record.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const base = digestOf('base');
const id = (name: string): ResultId => digestOf(name) as ResultId;

/** One stage `a` on the base, and `b`, `c` that both stand on it; `d` copies from c onto b. */
function diamond(
  ignoreA = false,
  ttlMs?: number,
): { definition: Definition; a: Digest; b: Digest; c: Digest; d: Digest } {
  const builder = new DefinitionBuilder();
  const label = { name: '', stage: '', line: 0, ignoreCache: false };
  const run = (name: string, on: Edge, more: Partial<VertexLabel> = {}): Edge =>
    builder.add({ kind: 'exec', args: [name], env: [], cwd: '/', user: '', network: 'none' }, platform, [on], {
      ...label,
      ...more,
    });
  const image = builder.add({ kind: 'image', reference: 'x', digest: base }, platform, [], label);
  const a = run('a', image, { ignoreCache: ignoreA, ttlMs });
  const b = run('b', a);
  const c = run('c', a);
  const d = builder.add({ kind: 'copy', from: [{ input: 1, patterns: ['x'] }], dest: '/' }, platform, [b, c], label);
  return { definition: builder.finish(d), a: a.vertex, b: b.vertex, c: c.vertex, d: d.vertex };
}

function record(name: string, parents: readonly ResultId[]): CacheRecord {
  const producer = { buildId: 'x', builderId: 'y', scope: 'main' };
  const result = {
    id: id(name),
    parents,
    layers: [],
    tree: base,
    empty: false,
    costMs: 1,
    startedAtMs: 0,
    finishedAtMs: 1,
    producer,
  };
  return { key: digestOf(`key ${name}`) as CacheKey, kind: 'definition', result, confirmedAtMs: 1 };
}

const onBase = [imageResultId(base)];

describe('chooseHits', () => {
  it('needs nothing below a hit at the root', () => {
    const { definition, d } = diamond();
    const choice = chooseHits(definition, new Map([[d, [record('d', [id('b'), id('c')])]]]));
    expect([...choice.hits.keys()]).toEqual([d]);
    expect([...choice.needed]).toEqual([d]);
  });

  it('takes what is given as it is, whatever it stands on, and nothing else in its place', () => {
    const { definition, a, b, c, d } = diamond();
    const all = new Map([
      [a, [record('a', onBase), record('a given', onBase)]],
      [b, [record('b', [id('another a')])]],
      [c, [record('c', [id('a')])]],
      [d, [record('d', [id('another b'), id('c')])]],
    ]);
    const given = new Map<Digest, ResultId>([
      [a, id('a given')],
      [b, id('b')],
    ]);
    const { hits, needed } = chooseHits(definition, all, given);
    expect(new Map([...hits].map(([digest, { result }]) => [digest, result.id]))).toEqual(given);
    expect(needed).toEqual(new Set([d, b, c, a]));
    expect(chooseHits(definition, all, new Map([[b, id('gone')]])).hits.has(b)).toBe(false);
  });

  it('needs what a miss stands on, down to the next hit', () => {
    const { definition, a, b, c, d } = diamond();
    const choice = chooseHits(definition, new Map([[a, [record('a', onBase)]]]));
    expect([...choice.hits.keys()]).toEqual([a]);
    expect(choice.needed).toEqual(new Set([d, b, c, a]));
  });

  it('does not stand two steps on two runs of the same step', () => {
    const { definition, a, b, c } = diamond();
    const candidates = new Map([
      [a, [record('a2', onBase), record('a1', onBase)]],
      [b, [record('b', [id('a1')])]],
      [c, [record('c', [id('a2')])]],
    ]);
    const { hits } = chooseHits(definition, candidates);
    const parents = [b, c].flatMap((vertex) => hits.get(vertex)?.result.parents ?? []);
    expect(parents).toHaveLength(1);
    expect(hits.get(a)?.result.id).toBe(parents[0]);
  });

  it('prefers a candidate that agrees with the others over a newer one that does not', () => {
    const { definition, a, b, c } = diamond();
    const candidates = new Map([
      [a, [record('a2', onBase), record('a1', onBase)]],
      [c, [record('c', [id('a1')])]],
      [b, [record('b2', [id('a2')]), record('b1', [id('a1')])]],
    ]);
    const { hits } = chooseHits(definition, candidates);
    expect([hits.get(a), hits.get(b), hits.get(c)].map((hit) => hit?.result.id)).toEqual([id('a1'), id('b1'), id('c')]);
  });

  it('drops a hit whose parent has to run for another step and is not recorded any more', () => {
    const { definition, a, b, c, d } = diamond();
    const { hits, needed } = chooseHits(definition, new Map([[b, [record('b', [id('gone')])]]]));
    expect(hits.size).toBe(0);
    expect(needed).toEqual(
      new Set([d, b, c, a, ...definition.vertices.keys()].filter((digest) => definition.vertices.has(digest))),
    );
  });

  it('refuses a record that stands on another base', () => {
    const { definition, a } = diamond();
    expect(chooseHits(definition, new Map([[a, [record('a', [id('other base')])]]])).hits.size).toBe(0);
  });

  it('takes nothing by definition that stands on a step which must run anew', () => {
    const { definition, a, b, c, d } = diamond(true);
    const all = new Map([
      [a, [record('a', onBase)]],
      [b, [record('b', [id('a')])]],
      [c, [record('c', [id('a')])]],
      [d, [record('d', [id('b'), id('c')])]],
    ]);
    expect(chooseHits(definition, all).hits.size).toBe(0);
  });

  describe('above a step with a time to live', () => {
    const { definition, a, b, c, d } = diamond(false, 1000);
    const [withB, withC] = [record('b', [id('a')]), record('c', [id('a')])];
    const withD = record('d', [id('b'), id('c')]);
    const young = record('a', onBase);
    const chosen = (...records: readonly (readonly [Digest, CacheRecord])[]): readonly Digest[] => [
      ...chooseHits(definition, new Map(records.map(([vertex, found]) => [vertex, [found]]))).hits.keys(),
    ];

    it('uses what stands on a run that is young enough', () => {
      expect(chosen([a, young], [b, withB], [c, withC], [d, withD])).toEqual([d, c, b, a]);
    });

    it('uses nothing that stands on an older run, directly or not', () => {
      expect(chosen([b, withB], [c, withC], [d, withD])).toEqual([]);
      expect(chosen([a, record('a2', onBase)], [b, withB], [c, withC], [d, withD])).toEqual([a]);
    });

    it('uses nothing of which it cannot be told any more on which run it stands', () => {
      // b is not recorded any more, so d may stand on any run of a; c stands on this one.
      expect(chosen([a, young], [c, withC], [d, withD])).toEqual([c, a]);
    });
  });

  describe('with merges', () => {
    /** `c` stands on the merge of `a` and the linked `l`, and `d` on that with another `m`. */
    function merged(ignoreL = false) {
      const builder = new DefinitionBuilder();
      const label = { name: '', stage: '', line: 0, ignoreCache: false };
      const run = (name: string, on: Edge, ignoreCache = false): Edge =>
        builder.add({ kind: 'exec', args: [name], env: [], cwd: '/', user: '', network: 'none' }, platform, [on], {
          ...label,
          ignoreCache,
        });
      const merge = (on: Edge, linked: Edge): Edge => builder.add({ kind: 'merge' }, platform, [on, linked], label);
      const empty = builder.add({ kind: 'scratch' }, platform, [], label);
      const a = run('a', builder.add({ kind: 'image', reference: 'x', digest: base }, platform, [], label));
      const [l, m] = [run('l', empty, ignoreL), run('m', empty)];
      const one = merge(a, l);
      const c = run('c', one);
      const two = merge(merge(c, m), l);
      const d = run('d', two);
      const of = { a: a.vertex, l: l.vertex, m: m.vertex, c: c.vertex, d: d.vertex };
      return { definition: builder.finish(d), ...of, one: one.vertex, two: two.vertex };
    }
    const all = ({ a, l, m, c, d }: ReturnType<typeof merged>) =>
      new Map([
        [a, [record('a', onBase)]],
        [l, [record('l', [scratchResultId])]],
        [m, [record('m', [scratchResultId])]],
        [c, [record('c', [id('a'), id('l')])]],
        [d, [record('d', [id('c'), id('m'), id('l')])]],
      ]);

    it('names what is merged in place of the merge', () => {
      const graph = merged();
      const choice = chooseHits(graph.definition, all(graph));
      expect(new Set(choice.hits.keys())).toEqual(new Set([graph.d, graph.c, graph.m, graph.l, graph.a]));
      expect([...choice.needed]).toEqual([graph.d]);
    });

    it('needs both inputs of a merge that a miss stands on', () => {
      const graph = merged();
      const candidates = all(graph);
      candidates.delete(graph.d);
      const choice = chooseHits(graph.definition, candidates);
      expect(new Set(choice.hits.keys())).toEqual(new Set([graph.c, graph.m, graph.l, graph.a]));
      expect(choice.needed).toContain(graph.two);
      expect(choice.needed).not.toContain(graph.one);
    });

    it('does not stand two steps on two runs of one linked copy', () => {
      const graph = merged();
      const candidates = all(graph);
      candidates.set(graph.l, [record('l2', [scratchResultId]), record('l', [scratchResultId])]);
      candidates.set(graph.c, [record('c2', [id('a'), id('l2')]), record('c', [id('a'), id('l')])]);
      const { hits } = chooseHits(graph.definition, candidates);
      expect([graph.c, graph.l].map((vertex) => hits.get(vertex)?.result.id)).toEqual([id('c'), id('l')]);
    });

    it('takes nothing that stands on a linked copy which must run anew, and all that does not', () => {
      const graph = merged(true);
      const { hits } = chooseHits(graph.definition, all(graph));
      expect(new Set(hits.keys())).toEqual(new Set([graph.a, graph.m]));
    });
  });
});
