import type { CacheKey } from '../record.ts';
import type { KeyedVertex } from './keyed-vertex.ts';

/** Beyond this many pairs of instructions of one stage, they are compared place by place. */
const MAX_PAIRS = 250_000;

interface Group {
  readonly stage: string;
  readonly platform: string;
  readonly vertices: KeyedVertex[];
}

/**
 * Which vertex of an earlier build each vertex of this one was: the one with its key; else, stage by stage, what is the same
 * operation in the same order, and between such ones what is of the same kind; else the same operation anywhere.
 * @returns by key of this build's vertex
 */
export function counterparts(
  now: readonly KeyedVertex[],
  past: readonly KeyedVertex[],
): ReadonlyMap<CacheKey, KeyedVertex> {
  const pairs = new Map<CacheKey, KeyedVertex>();
  const taken = new Set<KeyedVertex>();
  const pair = (one: KeyedVertex, other: KeyedVertex): void => {
    if (pairs.has(one.key) || taken.has(other)) return;
    pairs.set(one.key, other);
    taken.add(other);
  };
  const byKey = new Map(past.map((vertex) => [vertex.key, vertex]));
  for (const one of now) {
    const same = byKey.get(one.key);
    if (same !== undefined) pair(one, same);
  }
  for (const [mine, theirs] of groupPairs(groupsOf(now), groupsOf(past))) {
    const open = mine.vertices.map((one) => (pairs.has(one.key) ? pairs.get(one.key) : undefined));
    alignStage(
      mine.vertices,
      theirs.vertices,
      (a, b) => open[a] === theirs.vertices[b] || sameOp(mine, a, theirs, b),
    ).forEach(([a, b]) => pairAt(mine, a, theirs, b, pair));
  }
  for (const one of now) {
    const moved = past.find((other) => other.op === one.op && !taken.has(other));
    if (moved !== undefined) pair(one, moved);
  }
  return pairs;
}

function sameOp(mine: Group, a: number, theirs: Group, b: number): boolean {
  const [one, other] = [mine.vertices[a], theirs.vertices[b]];
  return one !== undefined && one.op === other?.op;
}

function pairAt(
  mine: Group,
  a: number,
  theirs: Group,
  b: number,
  pair: (one: KeyedVertex, other: KeyedVertex) => void,
): void {
  const [one, other] = [mine.vertices[a], theirs.vertices[b]];
  if (one !== undefined && other !== undefined) pair(one, other);
}

function groupsOf(vertices: readonly KeyedVertex[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const vertex of vertices) {
    const { stage, preimage } = vertex;
    const platform = preimage?.platform ?? '';
    const id = `${platform} ${stage}`;
    const group = groups.get(id) ?? { stage, platform, vertices: [] };
    groups.set(id, group);
    group.vertices.push(vertex);
  }
  return [...groups.values()];
}

/** Stages of one name and platform; of those that are left, of one name; then in their order. */
function groupPairs(mine: readonly Group[], theirs: readonly Group[]): readonly (readonly [Group, Group])[] {
  const free = new Set(theirs);
  const found = new Map<Group, Group>();
  const match = (fits: (a: Group, b: Group) => boolean): void => {
    for (const one of mine) {
      if (found.has(one)) continue;
      const other = [...free].find((each) => fits(one, each));
      if (other === undefined) continue;
      found.set(one, other);
      free.delete(other);
    }
  };
  match((a, b) => a.stage === b.stage && a.platform === b.platform);
  match((a, b) => a.stage === b.stage);
  match((a, b) => (a.stage === '') === (b.stage === ''));
  return [...found];
}

/** Pairs of positions: the longest common sequence of what is the same, and what stands between its members. */
function alignStage(
  mine: readonly KeyedVertex[],
  theirs: readonly KeyedVertex[],
  same: (a: number, b: number) => boolean,
): readonly (readonly [number, number])[] {
  if (mine.length * theirs.length > MAX_PAIRS)
    return mine.flatMap((_, at) => (at < theirs.length ? [[at, at] as const] : []));
  const anchors = commonSequence(mine.length, theirs.length, same);
  const pairs: (readonly [number, number])[] = [...anchors];
  let [fromA, fromB] = [0, 0];
  for (const [a, b] of [...anchors, [mine.length, theirs.length] as const]) {
    pairs.push(...between(mine, theirs, { fromA, toA: a, fromB, toB: b }));
    [fromA, fromB] = [a + 1, b + 1];
  }
  return pairs;
}

function commonSequence(
  rows: number,
  columns: number,
  same: (a: number, b: number) => boolean,
): readonly (readonly [number, number])[] {
  const lengths = Array.from({ length: rows + 1 }, () => new Uint32Array(columns + 1));
  const at = (a: number, b: number): number => lengths[a]?.[b] ?? 0;
  for (let a = rows - 1; a >= 0; a--) {
    for (let b = columns - 1; b >= 0; b--) {
      const row = lengths[a];
      if (row !== undefined) row[b] = same(a, b) ? at(a + 1, b + 1) + 1 : Math.max(at(a + 1, b), at(a, b + 1));
    }
  }
  const pairs: (readonly [number, number])[] = [];
  for (let [a, b] = [0, 0]; a < rows && b < columns; ) {
    if (same(a, b) && at(a, b) === at(a + 1, b + 1) + 1) pairs.push([a++, b++]);
    else if (at(a + 1, b) >= at(a, b + 1)) a++;
    else b++;
  }
  return pairs;
}

interface Gap {
  readonly fromA: number;
  readonly toA: number;
  readonly fromB: number;
  readonly toB: number;
}

/** As many of one kind on both sides: in their order. Else each takes what reads most like it. */
function between(
  mine: readonly KeyedVertex[],
  theirs: readonly KeyedVertex[],
  { fromA, toA, fromB, toB }: Gap,
): readonly (readonly [number, number])[] {
  const left = range(fromA, toA);
  const right = range(fromB, toB);
  const kinds = new Set(left.map((a) => kindOf(mine[a])));
  return [...kinds].flatMap((kind) => {
    const ours = left.filter((a) => kindOf(mine[a]) === kind);
    const others = right.filter((b) => kindOf(theirs[b]) === kind);
    if (ours.length === others.length)
      return ours.flatMap((a, n) => (others[n] === undefined ? [] : [[a, others[n]] as const]));
    return ours.flatMap((a) => {
      const likeness = (b: number): number => alike(mine[a]?.name ?? '', theirs[b]?.name ?? '');
      const [best] = others.toSorted((x, y) => likeness(y) - likeness(x));
      if (best === undefined || likeness(best) < LEAST_LIKENESS) return [];
      others.splice(others.indexOf(best), 1);
      return [[a, best] as const];
    });
  });
}

const LEAST_LIKENESS = 0.4;
const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, n) => from + n);
const kindOf = (vertex: KeyedVertex | undefined): string => vertex?.preimage?.op.kind ?? '';

/** Share of words that two instructions have in common, their places left out. */
function alike(one: string, other: string): number {
  const words = (text: string): ReadonlySet<string> => new Set(text.replace(/^\[[^\]]*\] /, '').split(/\s+/));
  const [a, b] = [words(one), words(other)];
  return a.intersection(b).size / a.union(b).size;
}
