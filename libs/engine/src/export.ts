import { writeOciLayout, assembleImage, type AssembledImage, pushImage } from '#exporter';
import type { Lowered } from '#graph';
import { type Descriptor, type Digest, formatReference, type Layer, parseReference } from '#oci';
import type { BuildEvent, BuildResult } from '#protocol';
import type { Repository } from '#registry';
import { type Bytes, KilnError, single } from '#std';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { Images } from './images.ts';
import type { Ref, TreeRef } from './ref.ts';
import type { Tally } from './tally.ts';

export interface Exporting {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly lowered: Lowered;
  readonly root: Ref;
  readonly images: Images;
  readonly report: (event: BuildEvent) => void;
  readonly tally: Tally;
}

type Exported = Pick<BuildResult, 'digest' | 'configDigest' | 'names' | 'outputs'>;

/** Layers → config → manifest → stored, pushed under every tag, written as files: whatever the request names. */
export async function exportImage(exporting: Exporting): Promise<Exported> {
  const { node, job, root, report } = exporting;
  const { request, signal } = job;
  if (root.kind !== 'tree') throw new KilnError('INTERNAL', 'a context is no result');
  const atMs = node.clock.nowMs();
  const progress = { type: 'progress', id: 'export', name: 'exporting to image', current: 0, unit: 'items' } as const;
  report({ ...progress, atMs, done: false });
  const layers = await root.layers();
  const image = await assemble(exporting, root, layers);
  await node.content.put(single(image.configBytes), image.configDescriptor.digest, signal);
  await node.content.put(single(image.manifestBytes), image.manifestDescriptor.digest, signal);
  await job.grants.grant(
    [image.configDescriptor, image.manifestDescriptor, ...layers.map((layer) => layer.descriptor)],
    signal,
  );
  report({ ...progress, atMs: node.clock.nowMs(), done: true });
  const names = request.tags.map((tag) => formatReference(parseReference(tag)));
  const open = layerOpener(exporting);
  if (request.outputs.some((output) => output.type === 'image' && output.push))
    await push(exporting, image, names, open);
  const outputs: Exported['outputs'] = [];
  for (const output of request.outputs)
    if (output.type === 'oci') outputs.push(await writeLayout(exporting, image, names, open));
  const wanted = request.outputs.length > 0 || names.length > 0;
  return {
    ...(wanted ? { digest: image.manifestDescriptor.digest } : {}),
    configDigest: image.configDescriptor.digest,
    names,
    outputs,
  };
}

async function assemble({ lowered }: Exporting, root: TreeRef, layers: readonly Layer[]): Promise<AssembledImage> {
  const created = await root.createdAtMs();
  // The time of the result, not of this build: a fully cached build gives the same image again.
  const createdAt =
    created === undefined
      ? (lowered.base?.config.created ?? new Date(0).toISOString())
      : new Date(created).toISOString();
  return assembleImage({
    platform: lowered.platform,
    config: lowered.config,
    ...(lowered.author === undefined ? {} : { author: lowered.author }),
    history: lowered.history,
    ...(lowered.base === undefined ? {} : { base: { config: lowered.base.config } }),
    layers,
    createdAt,
  });
}

type Open = (descriptor: Descriptor) => Bytes;

function layerOpener({ node, job, lowered, images }: Exporting): Open {
  const base = lowered.base;
  const fromBase = new Map(
    base === undefined
      ? []
      : images.layersOf(base.digest).map(({ descriptor }) => [descriptor.digest, descriptor] as const),
  );
  return (descriptor) => {
    const original = fromBase.get(descriptor.digest);
    return base !== undefined && original !== undefined
      ? images.open(base.digest, original, job.signal)
      : node.content.get(descriptor.digest, job.signal);
  };
}

async function push(
  exporting: Exporting,
  image: AssembledImage,
  names: readonly string[],
  openLayer: Open,
): Promise<void> {
  const { node, job, report, tally } = exporting;
  if (names.length === 0) {
    throw new KilnError('INVALID_ARGUMENT', 'an image is pushed under its tags, and this build has none', {
      hint: 'add -t registry/name:tag',
      field: 'tags',
    });
  }
  const mountCandidates = baseRepositories(exporting);
  const totalBytes = image.manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
  for (const name of names) {
    const progress = {
      type: 'progress',
      id: `push ${name}`,
      name: `pushing ${name}`,
      unit: 'bytes',
      total: totalBytes,
    } as const;
    let current = 0;
    report({ ...progress, atMs: node.clock.nowMs(), current, done: false });
    const { uploadedBytes } = await pushImage({
      client: job.registry,
      image,
      reference: parseReference(name),
      openLayer,
      mountCandidates,
      report: (event) => {
        if (event.type !== 'blob' || event.descriptor.digest === image.configDescriptor.digest) return;
        current += event.descriptor.size;
        report({ ...progress, atMs: node.clock.nowMs(), current, done: false });
      },
      beforeTag: job.checkFence,
      signal: job.signal,
    });
    tally.pushedBytes += uploadedBytes;
    report({ ...progress, atMs: node.clock.nowMs(), current: totalBytes, done: true });
  }
}

/** Where the base's layers are known to be. */
function baseRepositories({ lowered: { base }, images }: Exporting): ReadonlyMap<Digest, readonly Repository[]> {
  if (base === undefined) return new Map();
  const { registry, repository } = parseReference(base.reference);
  return new Map(images.layersOf(base.digest).map((layer) => [layer.descriptor.digest, [{ registry, repository }]]));
}

async function writeLayout(
  { node, job }: Exporting,
  image: AssembledImage,
  names: readonly string[],
  openLayer: Open,
): Promise<Exported['outputs'][number]> {
  const { digest, sizeBytes } = await node.content.put(
    writeOciLayout({ image, names, openLayer }),
    undefined,
    job.signal,
  );
  await job.grants.grant([{ mediaType: 'application/x-tar', digest, size: sizeBytes }], job.signal);
  return { type: 'oci', digest, sizeBytes };
}
