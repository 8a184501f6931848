import {
  applyDelta,
  type ContentStore,
  type DeltaEntry,
  layerReports,
  readDelta,
  type Tree,
  treeChanges,
} from '#content';
import type { Descriptor } from '#oci';
import type { ImageChanges, ImageDetail, ImageLayers } from '#protocol';
import { isKilnError, KilnError } from '#std';
import { setImmediate as turn } from 'node:timers/promises';

/** Lists are read on the API's own thread: of larger layers only the size is told. */
const MAX_DELTA_BYTES = 8 * 1024 * 1024;
const MAX_IMAGE_BYTES = 16 * 1024 * 1024;
const MAX_CHANGES = 1_000;

type Entries = readonly DeltaEntry[] | null;

/** What the layers of an image hold, as far as the farm has looked into them. */
export async function layersOf(content: ContentStore, image: ImageDetail, signal: AbortSignal): Promise<ImageLayers> {
  const lines = historyOf(image);
  const deltas = await deltasOf(content, image, signal);
  const known = deltas.filter((delta) => delta !== null);
  // What is wasted shows with all layers alone.
  const whole = known.length === deltas.length;
  const reports = whole
    ? layerReports(known)
    : deltas.map((delta) => (delta === null ? null : layerReports([delta])[0]));
  return {
    layers: lines.map(({ createdBy, layer: { descriptor, diffId } }, at) => {
      const { files, sizeBytes, wastedBytes, largest } = reports[at] ?? {};
      const unpacked =
        files === undefined || sizeBytes === undefined || wastedBytes === undefined || largest === undefined
          ? null
          : { files, sizeBytes, wastedBytes, largest: [...largest] };
      return { digest: descriptor.digest, diffId, createdBy, sizeBytes: descriptor.size, unpacked };
    }),
  };
}

/** @throws KilnError CONFLICT where the farm does not know all files of one of them */
export async function changesOf(
  content: ContentStore,
  before: ImageDetail,
  after: ImageDetail,
  signal: AbortSignal,
): Promise<ImageChanges> {
  const changes = treeChanges(await treeOf(content, before, signal), await treeOf(content, after, signal));
  const counts = { added: 0, removed: 0, changed: 0 };
  let grownBytes = 0;
  for (const { change, before: old, after: now } of changes) {
    counts[change] += 1;
    grownBytes += (now ?? 0) - (old ?? 0);
  }
  const weight = ({ before: old, after: now }: (typeof changes)[number]): number => Math.abs((now ?? 0) - (old ?? 0));
  const heaviest = changes.toSorted((a, b) => weight(b) - weight(a)).slice(0, MAX_CHANGES);
  return { counts, grownBytes, changes: [...heaviest] };
}

async function treeOf(content: ContentStore, image: ImageDetail, signal: AbortSignal): Promise<Tree> {
  let tree: Tree = new Map();
  for (const delta of await deltasOf(content, image, signal)) {
    if (delta === null)
      throw new KilnError('CONFLICT', `the farm does not know all files of ${image.digest}`, {
        hint: 'layers of a base that no step was built on, and very large ones, are not looked into',
      });
    tree = applyDelta(tree, delta);
    await turn();
  }
  return tree;
}

async function deltasOf(content: ContentStore, image: ImageDetail, signal: AbortSignal): Promise<readonly Entries[]> {
  let left = MAX_IMAGE_BYTES;
  const deltas: Entries[] = [];
  for (const { layer } of historyOf(image)) {
    const { delta } = layer;
    left -= delta?.size ?? 0;
    deltas.push(
      delta === undefined || delta.size > MAX_DELTA_BYTES || left < 0 ? null : await read(content, delta, signal),
    );
    await turn();
  }
  return deltas;
}

/** One that was never stored, or is lost, is not known. */
async function read(content: ContentStore, delta: Descriptor, signal: AbortSignal): Promise<Entries> {
  try {
    return await readDelta(content.get(delta.digest, signal), MAX_DELTA_BYTES);
  } catch (thrown) {
    if (isKilnError(thrown, 'NOT_FOUND', 'BLOB_MISSING', 'BLOB_CORRUPT')) return null;
    throw thrown;
  }
}

/** The lines that made a layer. */
function historyOf({ content: { variants } }: ImageDetail) {
  return (variants[0]?.history ?? []).flatMap((entry) =>
    entry.layer === undefined ? [] : [{ ...entry, layer: entry.layer }],
  );
}
