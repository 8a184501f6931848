import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { decodePath, type Tree } from '#content';
import { formatPlatform } from '#oci';
import { hexDigests, type Subject } from '#protocol';
import { layerTar } from '#snapshot';
import { type Bytes, KilnError } from '#std';
import { encodeHeader, endOfTar, padding, rewriteTar, type TarHeader } from '#tar';
import { type Attesting, encodeStatement } from './attestations.ts';
import { type PlatformResult, treeOf } from './platform-result.ts';
import type { Materialiser } from './materialiser.ts';

export interface FilesTarOptions {
  readonly results: readonly PlatformResult[];
  readonly materialiser: Materialiser;
  /** each platform's files below a directory of its own, such as linux_amd64 */
  readonly split: boolean;
  /** what is told of the files in files beside them, and what their names begin with; undefined for nothing */
  readonly attested?: { readonly by: Pick<Attesting, 'of'>; readonly prefix: string } | undefined;
  readonly signal: AbortSignal;
}

/** The event loop is for heartbeats too: it gets a turn this often. */
const TURN_MS = 8;

/**
 * The files of a build's results in a tar, in order of paths, without the root itself; with SOURCE_DATE_EPOCH as mtime of
 * everything where that is given.
 * @throws KilnError INVALID_ARGUMENT when platforms that are not split have different files under one name, or the result has
 * one of a name that tells of it
 */
export async function* filesTar({ results, materialiser, split, attested, signal }: FilesTarOptions): Bytes {
  const several = results.length > 1;
  const seen = split || !several ? undefined : new Map<string, string>();
  const told = new Set<string>();
  for (const [at, result] of results.entries()) {
    const { platform: own, epochSeconds: epoch } = result.lowered;
    const platform = formatPlatform(own);
    const prefix = split ? `${platform.replaceAll('/', '_')}/` : '';
    if (split) yield directory(prefix, epoch);
    const change = (header: TarHeader): TarHeader | undefined => {
      if (seen !== undefined && !isFirst(seen, header, platform)) return undefined;
      return {
        ...header,
        name: Buffer.concat([Buffer.from(prefix), header.name]),
        ...(header.type === 'link' && header.link !== undefined
          ? { link: Buffer.concat([Buffer.from(prefix), header.link]) }
          : {}),
        ...(epoch === undefined ? {} : { mtime: epoch }),
      };
    };
    yield* rewriteTar(treeTar(result, materialiser, signal), { change, open: true });
    if (attested === undefined) continue;
    const tree = await treeOf(result.root).tree();
    const suffix = several && !split ? `.${platform.replaceAll('/', '_')}` : '';
    for await (const predicate of attested.by.of(result, at)) {
      if (predicate.inlineOnly) continue;
      const name = attested.prefix + suffixed(predicate.fileName, suffix);
      if (told.has(prefix + name)) throw toldTwice(name);
      if (tree.has(name) || seen?.has(name) === true) throw taken(name);
      told.add(prefix + name);
      seen?.set(name, platform);
      yield* fileEntry(prefix + name, encodeStatement(predicate, subjectsOf(tree)), epoch);
    }
  }
  yield endOfTar;
}

/** Every file by its digest. */
const subjectsOf = (tree: Tree): readonly Subject[] =>
  [...tree.values()].flatMap(({ path, digest }) =>
    digest === undefined ? [] : [{ name: path, digest: hexDigests(digest) }],
  );

/** `sbom.spdx.json` of one platform is `sbom.spdx.linux_amd64.json`, as BuildKit has it. */
function suffixed(name: string, suffix: string): string {
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? name + suffix : name.slice(0, dot) + suffix + name.slice(dot);
}

const taken = (name: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `the result has a file /${name}, where its attestation is to be`, {
    hint: 'give attestations other names: --output …,attestation-prefix=attested-',
  });

const toldTwice = (name: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `two attestations would be the file /${name}`, {
    hint: 'give the provenance another name: --provenance=filename=NAME',
  });

function* fileEntry(name: string, bytes: Buffer, epoch: number | undefined): Generator<Buffer> {
  yield encodeHeader({
    ...{ name: Buffer.from(name), type: 'file', mode: 0o600, uid: 0, gid: 0 },
    size: bytes.byteLength,
    mtime: epoch ?? 0,
  });
  yield bytes;
  yield Buffer.alloc(padding(bytes.byteLength));
}

async function* treeTar(
  { root }: PlatformResult,
  { workspace, snapshotter }: Materialiser,
  signal: AbortSignal,
): Bytes {
  const ref = treeOf(root);
  const tree = await ref.tree();
  await using mounted = await workspace.mount(await snapshotter.view(await ref.snapshot()));
  let turnMs = performance.now();
  const entries = [...tree.values()].filter(({ path }) => path !== '');
  for (const piece of layerTar({ upper: mounted.path, delta: entries, check: () => signal.throwIfAborted() })) {
    yield piece;
    if (performance.now() - turnMs < TURN_MS) continue;
    await yieldToOthers();
    turnMs = performance.now();
  }
}

/** Directories may be there on several platforms; files may not. */
function isFirst(seen: Map<string, string>, { name, type }: TarHeader, platform: string): boolean {
  const path = decodePath(name);
  const earlier = seen.get(path);
  if (earlier === undefined) {
    seen.set(path, platform);
    return true;
  }
  if (type === 'dir') return false;
  throw new KilnError('INVALID_ARGUMENT', `both ${earlier} and ${platform} have /${path}`, {
    hint: 'leave platform-split=false out: each platform gets a directory of its own then',
  });
}

function directory(name: string, epoch: number | undefined): Buffer {
  return encodeHeader({
    name: Buffer.from(name),
    type: 'dir',
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: epoch ?? 0,
  });
}
