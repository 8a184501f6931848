import { type ContextManifest, decodeManifest, encodeManifest, makeManifest } from '#context';
import type { ContentStore, Tree } from '#content';
import type { Definition, Vertex } from '#graph';
import { type Digest, DigestSchema, ImageConfigSchema, ManifestSchema } from '#oci';
import type { Part } from '#solver';
import { collect, single } from '#std';
import { z } from 'zod';

const MANIFEST_LIMIT_BYTES = 1024 ** 3;

/** What one source was found to be: an image with its manifest, a file of the web, the files of a commit. */
export const SourcePin = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('image'),
    /** `registry/repository`; absent for what no registry has */
    reference: z.string().optional(),
    digest: DigestSchema,
    manifest: ManifestSchema,
    config: ImageConfigSchema,
    standIn: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('http'), digest: DigestSchema, sizeBytes: z.int(), mtime: z.int() }),
  /** the manifest of a tree, which is in the content store */
  z.strictObject({ kind: z.literal('git'), tree: DigestSchema }),
]);
export type SourcePin = z.infer<typeof SourcePin>;

/** What a build knows of the world outside: a part of it is to see exactly that, and to ask nobody. */
export const PartPins = z.strictObject({
  /** the main context, where it is not what the client sent */
  context: z.strictObject({ tree: DigestSchema, dockerfile: z.string() }).optional(),
  /** by vertex */
  sources: z.array(z.tuple([DigestSchema, SourcePin])),
  /** by vertex and number of the input: what keys are made of, also of what lies below given results */
  selections: z.array(z.tuple([DigestSchema, z.int(), DigestSchema])),
});
export type PartPins = z.infer<typeof PartPins>;

/** A part on its way to another builder. */
export interface PinnedPart extends Part {
  readonly pins: PartPins;
}

export interface Pinning {
  readonly context: () => Promise<PartPins['context']>;
  readonly source: (vertex: Vertex) => Promise<SourcePin | undefined>;
  readonly selection: (vertex: Vertex, input: number) => Digest;
}

export async function pinPart(part: Part, { context, source, selection }: Pinning): Promise<PinnedPart> {
  const sources: PartPins['sources'] = [];
  for (const vertex of opened(part)) {
    const pin = await source(vertex);
    if (pin !== undefined) sources.push([vertex.digest, pin]);
  }
  const selections = knownInputs(part.definition).map(([vertex, input]): PartPins['selections'][number] => [
    vertex.digest,
    input,
    selection(vertex, input),
  ]);
  const main = await context();
  return { ...part, pins: { ...(main === undefined ? {} : { context: main }), sources, selections } };
}

/** Files that a part's builder is to find under their manifest's digest. */
export async function pinTree(tree: Tree, content: ContentStore, signal: AbortSignal): Promise<Digest> {
  const { digest } = await content.put(single(encodeManifest(makeManifest(tree.values()))), undefined, signal);
  return digest;
}

/** @throws KilnError BLOB_MISSING, BLOB_CORRUPT */
export async function pinnedTree(tree: Digest, content: ContentStore, signal: AbortSignal): Promise<ContextManifest> {
  return decodeManifest(await collect(content.get(tree, signal), MANIFEST_LIMIT_BYTES));
}

/** What a part's steps may open: what lies below a given result is not looked at. */
function opened({ definition, results }: Part): readonly Vertex[] {
  const found = new Set(definition.roots.map(({ vertex }) => vertex));
  const ordered = [...definition.vertices.values()].reverse();
  for (const { digest, inputs } of ordered) {
    if (found.has(digest) && !results.has(digest)) for (const edge of inputs) found.add(edge.vertex);
  }
  return ordered.filter(({ digest }) => found.has(digest) && !results.has(digest)).reverse();
}

function knownInputs(definition: Definition): readonly (readonly [Vertex, number])[] {
  return [...definition.vertices.values()].flatMap((vertex) =>
    vertex.inputs.flatMap((edge, input) => {
      const kind = definition.vertices.get(edge.vertex)?.op.kind;
      return input > 0 && (kind === 'local' || kind === 'http') ? [[vertex, input] as const] : [];
    }),
  );
}
