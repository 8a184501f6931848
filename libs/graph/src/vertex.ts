import { type Digest, digestOf, formatPlatform, type Platform } from '#oci';
import { canonicalJson } from '#std';
import type { Op } from './op.ts';

/** One output of a vertex. All present operations have one output, number 0. */
export interface Edge {
  readonly vertex: Digest;
  readonly output: number;
}

/** What people see of a vertex; in no digest and no key. */
export interface VertexLabel {
  /** the instruction as it was written, on one line */
  readonly name: string;
  /** stage name or number; empty for what belongs to none (contexts) */
  readonly stage: string;
  /** line in the Dockerfile, from 1; 0 where there is none */
  readonly line: number;
  /** the step does not use what is cached (`--no-cache`, `--no-cache-filter`) */
  readonly ignoreCache: boolean;
  /** a result that is older than this is not used (`# kiln:ttl=24h`) */
  readonly ttlMs?: number | undefined;
  /** what asked for that, where it is not --no-cache */
  readonly ignoredBy?: '--no-cache-filter' | undefined;
  /** RUN: those of its variables that are ARGs */
  readonly args?: readonly string[] | undefined;
  /** no line of the build file: it is not counted among the steps */
  readonly aside?: true | undefined;
}

export interface Vertex {
  /** over operation, platform and inputs */
  readonly digest: Digest;
  readonly op: Op;
  readonly platform: Platform;
  readonly inputs: readonly Edge[];
  readonly label: VertexLabel;
}

export interface Definition {
  /** inputs come before what uses them */
  readonly vertices: ReadonlyMap<Digest, Vertex>;
  /** what is wanted, at least one: a build for several platforms has one for each */
  readonly roots: readonly Edge[];
}

/** Several definitions as one, their roots in this order: what they share is there once. */
export function mergeDefinitions(definitions: readonly Definition[]): Definition {
  const vertices = new Map<Digest, Vertex>();
  for (const definition of definitions) for (const vertex of definition.vertices.values()) addVertex(vertices, vertex);
  return { vertices, roots: definitions.flatMap(({ roots }) => roots) };
}

/** Of two equal vertices the first is shown; what one may not use of the cache, neither may. */
function addVertex(vertices: Map<Digest, Vertex>, vertex: Vertex): void {
  const known = vertices.get(vertex.digest);
  if (known === undefined) vertices.set(vertex.digest, vertex);
  else vertices.set(vertex.digest, { ...known, label: strictest(known.label, vertex.label) });
}

function strictest(first: VertexLabel, second: VertexLabel): VertexLabel {
  const shown = second.ignoreCache && !first.ignoreCache ? second : first;
  const limits = [first.ttlMs, second.ttlMs].filter((ttlMs) => ttlMs !== undefined);
  return limits.length === 0 ? shown : { ...shown, ttlMs: Math.min(...limits) };
}

/** The part of a definition that some of its vertices need, with these as its roots. */
export function subgraph(definition: Pick<Definition, 'vertices'>, roots: readonly Edge[]): Definition {
  const needed = new Set<Digest>();
  const visit = (edge: Edge): void => {
    if (needed.has(edge.vertex)) return;
    needed.add(edge.vertex);
    definition.vertices.get(edge.vertex)?.inputs.forEach(visit);
  };
  roots.forEach(visit);
  return { roots, vertices: new Map([...definition.vertices].filter(([digest]) => needed.has(digest))) };
}

/** RUN, COPY, ADD and WORKDIR are the steps that a user counts; images and contexts are not. */
export function isStep({ op }: Pick<Vertex, 'op'>): boolean {
  return op.kind === 'exec' || op.kind === 'copy' || op.kind === 'mkdir';
}

/** Collects vertices, inputs first; two equal vertices become one. */
export class DefinitionBuilder {
  readonly #vertices = new Map<Digest, Vertex>();

  add(op: Op, platform: Platform, inputs: readonly Edge[], label: VertexLabel): Edge {
    const digest = digestOf(
      canonicalJson({
        op: { ...op },
        platform: formatPlatform(platform),
        inputs: inputs.map(({ vertex, output }) => ({ vertex, output })),
      }),
    );
    addVertex(this.#vertices, { digest, op, platform, inputs, label });
    return { vertex: digest, output: 0 };
  }

  /** Takes in what another front end has made. */
  adopt({ vertices }: Definition): void {
    for (const vertex of vertices.values()) addVertex(this.#vertices, vertex);
  }

  /** The part of the graph that the roots need. */
  finish(...roots: readonly Edge[]): Definition {
    return subgraph({ vertices: this.#vertices }, roots);
  }
}
