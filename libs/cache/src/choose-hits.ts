import { type Definition, isStep, type Op, type Vertex } from '#graph';
import type { Digest } from '#oci';
import { imageResultId, scratchResultId } from './keys.ts';
import type { CacheRecord, ResultId } from './record.ts';

export interface Choice {
  /** vertices whose result comes from a record; what lies only below them needs no work */
  readonly hits: ReadonlyMap<Digest, CacheRecord>;
  /** vertices that have to be solved: sources of, and steps between, what is not hit */
  readonly needed: ReadonlySet<Digest>;
}

/**
 * Takes the hits of a graph from one consistent chain: the nearest record to a root wins and fixes the results of its
 * inputs, so that no two parts of a build stand on two different runs of the same step.
 * @param candidates by vertex, the preferred first
 * @param given results that are fixed beforehand, whatever they themselves stand on
 */
export function chooseHits(
  definition: Definition,
  candidates: ReadonlyMap<Digest, readonly CacheRecord[]>,
  given: ReadonlyMap<Digest, ResultId> = new Map<Digest, ResultId>(),
): Choice {
  const refused = new Set<CacheRecord>();
  // Each round refuses at least one record, so this ends.
  for (;;) {
    const round = attempt({ definition, candidates, given, refused });
    if (round.conflicts.size === 0) return round;
    for (const record of round.conflicts) refused.add(record);
  }
}

interface Round extends Choice {
  readonly conflicts: ReadonlySet<CacheRecord>;
}

interface Attempt {
  readonly definition: Definition;
  readonly candidates: ReadonlyMap<Digest, readonly CacheRecord[]>;
  readonly given: ReadonlyMap<Digest, ResultId>;
  readonly refused: ReadonlySet<CacheRecord>;
}

function attempt({ definition, candidates, given, refused }: Attempt): Round {
  const hits = new Map<Digest, CacheRecord>();
  const needed = new Set(definition.roots.map(({ vertex }) => vertex));
  const pins = new Map<Digest, { id: ResultId; by: Set<CacheRecord> }>();
  const conflicts = new Set<CacheRecord>();
  const tainted = taintedVertices(definition);
  const above = new Above();
  const idOf = (vertex: Vertex): ResultId | undefined => given.get(vertex.digest) ?? fixedId(vertex);

  for (const vertex of [...definition.vertices.values()].reverse()) {
    const pin = pins.get(vertex.digest);
    const isNeeded = needed.has(vertex.digest);
    const fixed = given.get(vertex.digest);
    if (fixed !== undefined) {
      const record = candidates.get(vertex.digest)?.find(({ result }) => result.id === fixed);
      if (isNeeded && record !== undefined) hits.set(vertex.digest, record);
      continue;
    }
    const usable =
      isNeeded || pin !== undefined
        ? (candidates.get(vertex.digest) ?? []).find(
            (record) =>
              !tainted.has(vertex.digest) && !refused.has(record) && fits(definition, vertex, record, { pins, idOf }),
          )
        : undefined;
    if (vertex.label.ttlMs !== undefined) {
      // Which of its runs is in these hits, and how old it is, nobody can tell.
      for (const record of above.of(vertex))
        if (usable === undefined || pin?.by.has(record) !== true) conflicts.add(record);
    }
    if (usable !== undefined) {
      if (isNeeded || isStep(vertex)) hits.set(vertex.digest, usable);
      pinInputs(definition, vertex, usable, { pins, idOf });
      above.stand(vertex, usable);
      continue;
    }
    if (isNeeded && isStep(vertex) && pin !== undefined) for (const record of pin.by) conflicts.add(record);
    above.pass(vertex);
    if (isNeeded) for (const edge of vertex.inputs) needed.add(edge.vertex);
  }
  return { hits, needed, conflicts };
}

/** Which chosen records stand on a vertex, whatever lies between. */
class Above {
  readonly #records = new Map<Digest, Set<CacheRecord>>();

  of({ digest }: Vertex): ReadonlySet<CacheRecord> {
    return this.#records.get(digest) ?? new Set();
  }

  stand({ inputs }: Vertex, record: CacheRecord): void {
    for (const edge of inputs) this.#below(edge.vertex).add(record);
  }

  /** A vertex without a record of its own: what stands on it stands on its inputs. */
  pass(vertex: Vertex): void {
    for (const edge of vertex.inputs) for (const record of this.of(vertex)) this.#below(edge.vertex).add(record);
  }

  #below(digest: Digest): Set<CacheRecord> {
    const records = this.#records.get(digest) ?? new Set();
    this.#records.set(digest, records);
    return records;
  }
}

/** A step that must run anew may give another tree: what stands on it is looked up by content afterwards. */
export function taintedVertices(definition: Definition): ReadonlySet<Digest> {
  const tainted = new Set<Digest>();
  for (const vertex of definition.vertices.values()) {
    if (vertex.label.ignoreCache || vertex.inputs.some((edge) => tainted.has(edge.vertex))) tainted.add(vertex.digest);
  }
  return tainted;
}

/** Files that are read one by one, and no result: what a client sent, what was fetched. */
const files: readonly Op['kind'][] = ['local', 'http', 'git'];

/**
 * The inputs that a result names as parents: all but files that no step made; in place of a merge, which has no
 * record of its own, what it merges, so that a hit above it fixes the results below it.
 */
export function parentInputs(definition: Definition, vertex: Vertex): readonly Vertex[] {
  return vertex.inputs.flatMap((edge) => {
    const input = definition.vertices.get(edge.vertex);
    if (input === undefined || files.includes(input.op.kind)) return [];
    return input.op.kind === 'merge' ? parentInputs(definition, input) : [input];
  });
}

interface Fixed {
  readonly pins: Map<Digest, { id: ResultId; by: Set<CacheRecord> }>;
  readonly idOf: (vertex: Vertex) => ResultId | undefined;
}

function fits(definition: Definition, vertex: Vertex, { result }: CacheRecord, { pins, idOf }: Fixed): boolean {
  const pin = pins.get(vertex.digest);
  if (pin !== undefined && pin.id !== result.id) return false;
  const parents = parentInputs(definition, vertex);
  return (
    parents.length === result.parents.length &&
    parents.every((input, index) => {
      const expected = idOf(input) ?? pins.get(input.digest)?.id;
      return expected === undefined || expected === result.parents[index];
    })
  );
}

function fixedId({ op }: Vertex): ResultId | undefined {
  if (op.kind === 'image') return imageResultId(op.digest);
  return op.kind === 'scratch' ? scratchResultId : undefined;
}

function pinInputs(definition: Definition, vertex: Vertex, record: CacheRecord, { pins, idOf }: Fixed): void {
  parentInputs(definition, vertex).forEach((input, index) => {
    const id = record.result.parents[index];
    if (id === undefined || idOf(input) !== undefined) return;
    const pin = pins.get(input.digest) ?? { id, by: new Set() };
    pin.by.add(record);
    pins.set(input.digest, pin);
  });
}
