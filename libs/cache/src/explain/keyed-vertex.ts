import { z } from 'zod';
import type { Definition, Vertex } from '#graph';
import { type Digest, DigestSchema } from '#oci';
import type { Json } from '#std';
import type { CacheKey, ExplainedKey, OpKey } from '../record.ts';

const Input = z.union([z.object({ key: DigestSchema }), z.object({ selection: DigestSchema })]);
const Preimage = z.object({
  op: z.looseObject({ kind: z.string() }),
  platform: z.string(),
  inputs: z.array(Input),
});

/** What a definition key hashes, as far as a comparison looks at it. */
export type KeyPreimage = z.infer<typeof Preimage>;

/** A vertex of one build with its definition key; what is kept of each build. */
export interface KeyedVertex {
  readonly vertex: Digest;
  readonly stage: string;
  /** as people see it */
  readonly name: string;
  readonly line: number;
  readonly op: OpKey;
  readonly key: CacheKey;
  /** undefined where it is not kept, or of another version */
  readonly preimage: KeyPreimage | undefined;
}

/** Undefined for what is none. */
export function readPreimage(value: unknown): KeyPreimage | undefined {
  const parsed = Preimage.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** What a client sent is known by what steps take of it, and the empty tree says nothing. */
const isCompared = ({ op }: Vertex): boolean => op.kind !== 'local' && op.kind !== 'scratch';

/** A vertex as it is kept, with all that its key hashes. */
export interface KeptVertex extends Omit<KeyedVertex, 'preimage'> {
  readonly json: Json;
}

/** The vertices of a definition that tell one build from another, inputs first. */
export function keptVertices(definition: Definition, keys: ReadonlyMap<Digest, ExplainedKey>): readonly KeptVertex[] {
  return [...definition.vertices.values()].filter(isCompared).flatMap(({ digest, label: { stage, name, line } }) => {
    const explained = keys.get(digest);
    if (explained === undefined) return [];
    const { key, op, preimage: json } = explained;
    return [{ vertex: digest, stage, name, line, op, key, json }];
  });
}
