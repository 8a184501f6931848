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
  readonly root: Edge;
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
    const known = this.#vertices.get(digest);
    if (known === undefined) this.#vertices.set(digest, { digest, op, platform, inputs, label });
    else if (label.ignoreCache && !known.label.ignoreCache) this.#vertices.set(digest, { ...known, label });
    return { vertex: digest, output: 0 };
  }

  /** The part of the graph that `root` needs. */
  finish(root: Edge): Definition {
    const needed = new Set<Digest>();
    const visit = (edge: Edge): void => {
      if (needed.has(edge.vertex)) return;
      needed.add(edge.vertex);
      this.#vertices.get(edge.vertex)?.inputs.forEach(visit);
    };
    visit(root);
    return { root, vertices: new Map([...this.#vertices].filter(([digest]) => needed.has(digest))) };
  }
}
