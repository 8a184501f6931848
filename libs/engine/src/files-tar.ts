import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { decodePath } from '#content';
import { formatPlatform } from '#oci';
import { layerTar } from '#snapshot';
import { type Bytes, KilnError } from '#std';
import { encodeHeader, endOfTar, rewriteTar, type TarHeader } from '#tar';
import { type PlatformResult, treeOf } from './image-builder.ts';
import type { Materialiser } from './materialiser.ts';

export interface FilesTarOptions {
  readonly results: readonly PlatformResult[];
  readonly materialiser: Materialiser;
  /** each platform's files below a directory of its own, such as linux_amd64 */
  readonly split: boolean;
  readonly signal: AbortSignal;
}

/** The event loop is for heartbeats too: it gets a turn this often. */
const TURN_MS = 8;

/**
 * The files of a build's results in a tar, in order of paths, without the root itself; with SOURCE_DATE_EPOCH as mtime of
 * everything where that is given.
 * @throws KilnError INVALID_ARGUMENT when platforms that are not split have different files under one name
 */
export async function* filesTar({ results, materialiser, split, signal }: FilesTarOptions): Bytes {
  const seen = split || results.length < 2 ? undefined : new Map<string, string>();
  for (const result of results) {
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
  }
  yield endOfTar;
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
