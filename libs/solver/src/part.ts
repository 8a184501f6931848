import { parentInputs, type ResultId } from '#cache';
import { type Definition, type Edge, isStep, subgraph, type Vertex } from '#graph';
import { type Digest, type Platform, samePlatform } from '#oci';

/** Steps of a build that run somewhere else. */
export interface Part {
  /** that its processes are for */
  readonly platform: Platform;
  /** its steps and all below them, by which their keys are known; its roots are the steps */
  readonly definition: Definition;
  readonly steps: ReadonlySet<Digest>;
  /** what the steps stand on, by vertex: results that are recorded */
  readonly results: ReadonlyMap<Digest, ResultId>;
}

export interface PartOptions {
  readonly definition: Definition;
  /** vertices that have a value */
  readonly done: ReadonlySet<Digest>;
  /** whether a vertex has to be solved at all and has no hit */
  readonly open: (vertex: Vertex) => boolean;
}

/** The step `first`, and every step of its platform that can run once it has: what stands on nothing else that is not there. */
export function stepsFrom(first: Vertex, { definition, done, open }: PartOptions): ReadonlySet<Digest> {
  const found = new Map([[first.digest, first]]);
  for (const vertex of definition.vertices.values()) {
    const stands = vertex.inputs.some((edge) => found.has(edge.vertex));
    const ready = vertex.inputs.every((edge) => found.has(edge.vertex) || done.has(edge.vertex));
    const fits = vertex.op.kind !== 'exec' || samePlatform(vertex.platform, first.platform);
    if (stands && ready && fits && open(vertex)) found.set(vertex.digest, vertex);
  }
  // What only follows the last process, everyone can do.
  for (const vertex of [...found.values()].reverse()) {
    const used = [...found.values()].some(({ inputs }) => inputs.some((edge) => edge.vertex === vertex.digest));
    if (vertex.op.kind !== 'exec' && !used) found.delete(vertex.digest);
  }
  return new Set(found.keys());
}

/** The part of a definition that some of its steps are. */
export function partOf(
  definition: Definition,
  { platform, steps, results }: Pick<Part, 'platform' | 'steps' | 'results'>,
): Part {
  // A step that another one of them stands on is asked for by itself too: it may be needed outside of the part.
  const roots: readonly Edge[] = [...definition.vertices.keys()]
    .filter((digest) => steps.has(digest))
    .map((digest) => ({ vertex: digest, output: 0 }));
  const below = subgraph(definition, roots);
  // Only the steps themselves may be asked to leave the cache alone: what they stand on is given.
  const vertices = [...below.vertices].map(([digest, vertex]): [Digest, Vertex] => [
    digest,
    steps.has(digest) ? vertex : { ...vertex, label: { ...vertex.label, ignoreCache: false } },
  ]);
  return { platform, steps, results, definition: { roots, vertices: new Map(vertices) } };
}

/** The steps whose results a part's steps stand on; in place of a merge, which is no result, what it merges. */
export function standsOn(definition: Definition, steps: ReadonlySet<Digest>): readonly Digest[] {
  const below = [...definition.vertices.values()]
    .filter(({ digest }) => steps.has(digest))
    .flatMap((vertex) => parentInputs(definition, vertex))
    .filter((input) => isStep(input) && !steps.has(input.digest))
    .map(({ digest }) => digest);
  return [...new Set(below)];
}
