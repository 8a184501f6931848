import { type Definition, type ExecMount, type InlineFile, isStep, type Op, type Vertex } from '#graph';
import { type Digest, digestOf, formatPlatform } from '#oci';
import { canonicalJson, type Json, KilnError, unreachable } from '#std';
import type { CacheKey, ExplainedKey, OpKey, ResultId } from './record.ts';

/** Bump when hashed bytes or the layer format change meaning: every key of the farm misses then. */
export const KEY_VERSION = 3;

/** Digest of what a step takes from an input whose files are known beforehand (docs/cache.md, "selection"). */
export type SelectionOf = (vertex: Vertex, input: number) => Digest;

/** Trees that are known file by file before anything runs: what a client sent, what was fetched by HTTP. */
function isKnown({ op }: Vertex): boolean {
  return op.kind === 'local' || op.kind === 'http';
}

/**
 * What an operation is, without its inputs. Every attribute that can change a result is here.
 * @param selected inputs that are known by what is selected, which says all that the patterns said
 */
function operation(op: Op, selected: (input: number) => boolean): Json {
  switch (op.kind) {
    case 'image':
      // The same manifest from another registry is the same tree.
      return { kind: op.kind, digest: op.digest };
    case 'scratch':
    case 'merge':
      return { kind: op.kind };
    case 'local':
      return { kind: op.kind, name: op.name };
    case 'http':
      return { kind: op.kind, digest: op.digest, name: op.name };
    case 'git': {
      const { kind, commit, subdir, keepGitDir, submodules } = op;
      // What .git remembers of where it came from is a part of the tree.
      return {
        kind,
        commit,
        subdir,
        submodules,
        ...(keepGitDir ? { keepGitDir, remote: op.remote, ref: op.ref } : {}),
      };
    }
    case 'exec':
      return {
        kind: op.kind,
        args: op.args,
        env: op.env,
        cwd: op.cwd,
        user: op.user,
        network: op.network,
        security: op.security,
        mounts: op.mounts?.map((mount) => mountOf(mount, selected)),
        devices: op.devices?.map((device) => ({ ...device })),
        extraHosts: op.extraHosts,
        limits: op.limits,
        files: inlineOf(op.files),
      };
    case 'copy':
      return {
        kind: op.kind,
        from: op.from.map(({ input, patterns, unpack }) => ({
          input,
          unpack,
          ...(selected(input) ? { count: patterns.length } : { patterns }),
        })),
        dest: op.dest,
        chown: op.chown,
        chmod: op.chmod,
        parents: op.parents,
        ...(op.from.every(({ input }) => selected(input)) ? {} : { excludes: op.excludes }),
        inline: inlineOf(op.inline),
      };
    case 'mkdir':
      return { kind: op.kind, path: op.path, mode: op.mode, chown: op.chown };
    default:
      return unreachable(op);
  }
}

/** Secrets and agents count by what they are called, never by what they hold. */
function mountOf(mount: ExecMount, selected: (input: number) => boolean): Json {
  if (mount.type !== 'bind' || !selected(mount.input)) return { ...mount };
  const { source: _, ...rest } = mount;
  return rest;
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
    op: operation(vertex.op, () => true),
    platform: formatPlatform(vertex.platform),
  };
  return hash(preimage) as OpKey;
}

/** Whether a step takes a part of an input whose files are known; a root is always taken as a whole. */
function knownInput(definition: Definition, vertex: Vertex, input: number): boolean {
  const edge = vertex.inputs[input];
  const source = edge === undefined ? undefined : definition.vertices.get(edge.vertex);
  return input > 0 && source !== undefined && isKnown(source);
}

/**
 * The definition keys of a whole graph, before anything runs: over operation, platform and the definition keys of the
 * inputs; what is copied from a tree that the client sent counts by what is selected, and by nothing else of it.
 */
export function definitionKeys(definition: Definition, selectionOf: SelectionOf): ReadonlyMap<Digest, ExplainedKey> {
  const keys = new Map<Digest, ExplainedKey>();
  for (const vertex of definition.vertices.values()) {
    const selected = (input: number): boolean => knownInput(definition, vertex, input);
    const inputs = vertex.inputs.map((edge, index): Json => {
      if (selected(index)) return { selection: selectionOf(vertex, index) };
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
  const selected = (input: number): boolean => {
    const content = inputs[input];
    return content !== undefined && 'selection' in content;
  };
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

/** A merge has no record: what it is follows from what it merges. */
export function mergeResultId(inputs: readonly ResultId[]): ResultId {
  return hash({ v: KEY_VERSION, kind: 'merge', inputs }) as ResultId;
}

/** Two runs on the same inputs that made the same layer are one result. */
export function stepResultId(parents: readonly ResultId[], layer: Digest): ResultId {
  return hash({ v: KEY_VERSION, kind: 'step', parents, layer }) as ResultId;
}
