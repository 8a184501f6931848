import { type Definition, isStep, type Op, type Vertex, type InlineFile } from '#graph';
import { type Digest, digestOf, formatPlatform } from '#oci';
import { canonicalJson, type Json, KilnError, unreachable } from '#std';
import type { CacheKey, ExplainedKey, OpKey, ResultId } from './record.ts';

/** Bump when hashed bytes or the layer format change meaning: every key of the farm misses then. */
export const KEY_VERSION = 1;

/** Digest of what a COPY or ADD takes from a tree that the client sent (docs/cache.md, "selection"). */
export type SelectionOf = (vertex: Vertex) => Digest;

/** What an operation is, without its inputs. Every attribute that can change a result is here. */
function operation(op: Op, selected: boolean): Json {
  switch (op.kind) {
    case 'image':
      // The same manifest from another registry is the same tree.
      return { kind: op.kind, digest: op.digest };
    case 'scratch':
      return { kind: op.kind };
    case 'local':
      return { kind: op.kind, name: op.name };
    case 'exec':
      return {
        kind: op.kind,
        args: op.args,
        env: op.env,
        cwd: op.cwd,
        user: op.user,
        network: op.network,
        files: inlineOf(op.files),
      };
    case 'copy':
      // Where the selection is known, it says all that the patterns said.
      return {
        kind: op.kind,
        ...(selected ? { count: op.sources.length } : { sources: op.sources }),
        dest: op.dest,
        chown: op.chown,
        chmod: op.chmod,
        unpack: op.unpack,
        inline: inlineOf(op.inline),
      };
    case 'mkdir':
      return { kind: op.kind, path: op.path, mode: op.mode, chown: op.chown };
    default:
      return unreachable(op);
  }
}

const hash = (preimage: Json): Digest => digestOf(canonicalJson(preimage));

function inlineOf(files: readonly InlineFile[] | undefined): Json | undefined {
  return files?.map(({ name, text }) => ({ name, text }));
}

/** The key of an operation whatever its inputs are: tells whether anything like it was ever run. */
export function opKey(vertex: Vertex): OpKey {
  const preimage = {
    v: KEY_VERSION,
    kind: 'op',
    op: operation(vertex.op, true),
    platform: formatPlatform(vertex.platform),
  };
  return hash(preimage) as OpKey;
}

function localInput(definition: Definition, vertex: Vertex, input: number): boolean {
  const edge = vertex.inputs[input];
  return edge !== undefined && definition.vertices.get(edge.vertex)?.op.kind === 'local';
}

/**
 * The definition keys of a whole graph, before anything runs: over operation, platform and the definition keys of the
 * inputs; what is copied from a tree that the client sent counts by what is selected, and by nothing else of it.
 */
export function definitionKeys(definition: Definition, selectionOf: SelectionOf): ReadonlyMap<Digest, ExplainedKey> {
  const keys = new Map<Digest, ExplainedKey>();
  for (const vertex of definition.vertices.values()) {
    const selected = vertex.op.kind === 'copy' && localInput(definition, vertex, 1);
    const inputs = vertex.inputs.map((edge, index): Json => {
      if (localInput(definition, vertex, index)) return { selection: selectionOf(vertex) };
      const key = keys.get(edge.vertex);
      if (key === undefined) throw new KilnError('INTERNAL', 'a definition names an input after what uses it');
      return { key: key.key, output: edge.output };
    });
    const preimage = {
      v: KEY_VERSION,
      kind: 'definition',
      op: operation(vertex.op, selected),
      platform: formatPlatform(vertex.platform),
      inputs,
    };
    keys.set(vertex.digest, {
      key: hash(preimage) as CacheKey,
      kind: 'definition',
      op: opKey(vertex),
      preimage,
    });
  }
  return keys;
}

/** What an input is to a content key: the digest of a whole tree, or of what is selected from it. */
export type InputContent = { readonly tree: Digest } | { readonly selection: Digest };

/** The key over the contents of the inputs, known when their results are. */
export function contentKey(vertex: Vertex, inputs: readonly InputContent[]): ExplainedKey {
  if (!isStep(vertex)) throw new KilnError('INTERNAL', `a ${vertex.op.kind} has no content key`);
  const selected = inputs.some((input) => 'selection' in input);
  const preimage = {
    v: KEY_VERSION,
    kind: 'content',
    op: operation(vertex.op, selected),
    platform: formatPlatform(vertex.platform),
    inputs: inputs.map((input): Json => ({ ...input })),
  };
  return { key: hash(preimage) as CacheKey, kind: 'content', op: opKey(vertex), preimage };
}

/** An image is the same result wherever it is pulled. */
export function imageResultId(manifest: Digest): ResultId {
  return hash({ v: KEY_VERSION, kind: 'image', digest: manifest }) as ResultId;
}

export const scratchResultId = hash({ v: KEY_VERSION, kind: 'scratch' }) as ResultId;

/** Two runs on the same parents that made the same layer are one result. */
export function stepResultId(parents: readonly ResultId[], layer: Digest): ResultId {
  return hash({ v: KEY_VERSION, kind: 'step', parents, layer }) as ResultId;
}
