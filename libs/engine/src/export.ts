import {
  type Assembled,
  type AssembledImage,
  assembleImage,
  assembleIndex,
  imagesOf,
  pushImage,
  topOf,
  writeOciLayout,
} from '#exporter';
import type { Lowered, ResolvedImage } from '#graph';
import { type Descriptor, type Digest, formatReference, parseReference } from '#oci';
import type { BuildEvent, BuildResult } from '#protocol';
import type { Repository } from '#registry';
import { type Bytes, KilnError, single } from '#std';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { Images } from './images.ts';
import type { Ref } from './ref.ts';
import type { Tally } from './tally.ts';

/** What a build gave for one platform. */
export interface PlatformResult {
  readonly lowered: Lowered;
  readonly root: Ref;
}

export interface Exporting {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  /** one for each platform, in the order in which an index lists them; never none */
  readonly results: readonly PlatformResult[];
  readonly images: Images;
  readonly report: (event: BuildEvent) => void;
  readonly tally: Tally;
}

type Exported = Pick<BuildResult, 'digest' | 'configDigest' | 'names' | 'outputs'>;

/**
 * Layers → config → manifest, of several platforms an index → stored, pushed under every tag, written as files: whatever
 * the request names.
 */
export async function exportImage(exporting: Exporting): Promise<Exported> {
  const { node, job, results, report } = exporting;
  const { request } = job;
  const atMs = node.clock.nowMs();
  const progress = { type: 'progress', id: 'export', name: 'exporting to image', current: 0, unit: 'items' } as const;
  report({ ...progress, atMs, done: false });
  const platforms: AssembledImage[] = [];
  for (const result of results) platforms.push(await assemble(exporting, result));
  const [first] = platforms;
  if (first === undefined) throw new KilnError('INTERNAL', 'a build without a result');
  const image = platforms.length === 1 ? first : assembleIndex(platforms);
  await keep(exporting, image);
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
    ...(wanted ? { digest: topOf(image).descriptor.digest } : {}),
    configDigest: first.configDescriptor.digest,
    names,
    outputs,
  };
}

async function assemble(exporting: Exporting, { lowered, root }: PlatformResult): Promise<AssembledImage> {
  if (root.kind !== 'tree') throw new KilnError('INTERNAL', 'a context is no result');
  const created = await root.createdAtMs();
  // The time of the result, not of this build: a fully cached build gives the same image again.
  const { epochSeconds } = lowered;
  const createdAt =
    epochSeconds !== undefined
      ? new Date(epochSeconds * 1000).toISOString()
      : created === undefined
        ? (lowered.base?.config.created ?? new Date(0).toISOString())
        : new Date(created).toISOString();
  return assembleImage({
    platform: lowered.platform,
    config: lowered.config,
    ...(lowered.author === undefined ? {} : { author: lowered.author }),
    history: lowered.history,
    ...(lowered.base === undefined ? {} : { base: { config: lowered.base.config } }),
    // What a base brought need not be here, unless the image stays here.
    layers: await (staysHere(exporting) ? root.layers() : root.descriptors()),
    createdAt,
  });
}

const staysHere = ({ job }: Exporting): boolean =>
  job.request.outputs.some((output) => output.type === 'image' && !output.push);

/** Configs, manifests and index in the content store, and everything granted to the project. */
async function keep(exporting: Exporting, image: Assembled): Promise<void> {
  const { node, job } = exporting;
  const { signal } = job;
  const top = topOf(image);
  const documents = new Map([[top.descriptor, top.bytes]]);
  for (const { configDescriptor, configBytes, manifestDescriptor, manifestBytes } of imagesOf(image))
    documents.set(configDescriptor, configBytes).set(manifestDescriptor, manifestBytes);
  for (const [{ digest }, bytes] of documents) await node.content.put(single(bytes), digest, signal);
  const layers = imagesOf(image).flatMap(({ manifest }) => manifest.layers);
  const brought = new Set(baseRepositories(exporting).keys());
  // Nobody may need to have fetched them.
  const absent = await node.content.findMissing(brought, signal);
  const here = layers.filter(({ digest }) => !absent.has(digest));
  await job.grants.grant([...documents.keys(), ...here], signal);
}

type Open = (descriptor: Descriptor) => Bytes;

function layerOpener({ node, job, results, images }: Exporting): Open {
  const fromBase = new Map(
    basesOf(results).flatMap((base) =>
      images.layersOf(base.digest).map(({ descriptor }) => [descriptor.digest, { base, descriptor }] as const),
    ),
  );
  return (descriptor) => {
    const original = fromBase.get(descriptor.digest);
    return original === undefined
      ? node.content.get(descriptor.digest, job.signal)
      : images.open(original.base.digest, original.descriptor, job.signal);
  };
}

function basesOf(results: readonly PlatformResult[]): readonly ResolvedImage[] {
  return results.flatMap(({ lowered }) => lowered.base ?? []);
}

async function push(exporting: Exporting, image: Assembled, names: readonly string[], openLayer: Open): Promise<void> {
  const { node, job, report, tally } = exporting;
  if (names.length === 0) {
    throw new KilnError('INVALID_ARGUMENT', 'an image is pushed under its tags, and this build has none', {
      hint: 'add -t registry/name:tag',
      field: 'tags',
    });
  }
  const mountCandidates = baseRepositories(exporting);
  const layers = new Map(
    imagesOf(image).flatMap(({ manifest }) => manifest.layers.map((layer) => [layer.digest, layer.size])),
  );
  const totalBytes = [...layers.values()].reduce((sum, size) => sum + size, 0);
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
        if (event.type !== 'blob' || !layers.has(event.descriptor.digest)) return;
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

/** Where the bases' layers are known to be. */
function baseRepositories({ results, images }: Exporting): ReadonlyMap<Digest, readonly Repository[]> {
  return new Map(
    basesOf(results).flatMap((base) => {
      const { registry, repository } = parseReference(base.reference);
      return images
        .layersOf(base.digest)
        .map((layer): [Digest, Repository[]] => [layer.descriptor.digest, [{ registry, repository }]]);
    }),
  );
}

async function writeLayout(
  { node, job }: Exporting,
  image: Assembled,
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
