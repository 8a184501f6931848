import { type Assembled, imagesOf, topOf, writeDockerArchive, writeOciLayout } from '#exporter';
import { type Descriptor, type Digest, formatReference, type Layer, parseReference } from '#oci';
import type { BuildResult, CacheReport, OutputFile, OutputRequest } from '#protocol';
import type { Repository } from '#registry';
import { type Bytes, KilnError, unreachable } from '#std';
import { attestsFiles } from './attestations.ts';
import { basesOf, type Exporting, type OpenBlob } from './exporting.ts';
import { filesTar } from './files-tar.ts';
import { ImageBuilder, keepsImage } from './image-builder.ts';
import { asksForIndex, formOf, isImageOutput } from './image-form.ts';
import type { EngineNode } from './job.ts';
import { keepImage } from './keep-image.ts';
import { type ConversionProgress, LayerVariants } from './layer-variants.ts';
import { asksForInline, exportCaches } from './export-caches.ts';
import { knownRepositories, pushOutput } from './push-output.ts';

type Exported = Pick<BuildResult, 'digest' | 'descriptor' | 'configDigest' | 'names' | 'outputs'> & {
  readonly cacheExports: CacheReport['exports'];
  /** layers of the images that were not stored yet */
  readonly late: readonly Descriptor[];
};

/**
 * Layers → config → manifest, of several platforms an index → stored, pushed under every tag, written as files: whatever
 * the request names, output by output.
 */
export async function exportImage(exporting: Exporting): Promise<Exported> {
  const { node, job, report } = exporting;
  const { request } = job;
  const open = layerOpener(exporting);
  const variants = layerVariants(exporting, open);
  const cached = asksForInline(request) ? exporting.steps.entries() : undefined;
  const builder = new ImageBuilder({ ...exporting, variants, cached });
  const progress = { type: 'progress', id: 'export', name: 'exporting to image', current: 0, unit: 'items' } as const;
  report({ ...progress, atMs: node.clock.nowMs(), done: false });
  const forms = request.outputs.map((output) => (isImageOutput(output) ? formOf(request, output) : undefined));
  // Every image before any is pushed: a layer that is lost shows before a tag does.
  let image = await builder.image(forms.findLast((form) => form !== undefined) ?? formOf(request));
  for (const form of forms) if (form !== undefined) await builder.image(form);
  report({ ...progress, atMs: node.clock.nowMs(), done: true });
  const names = new Set(request.tags.map(fullName));
  const pushedNames = new Set<string>();
  const outputs: OutputFile[] = [];
  for (const [at, output] of request.outputs.entries()) {
    const form = forms[at];
    if (form !== undefined) image = await builder.image(form);
    const own = namesOf(exporting, output);
    if (output.type === 'image') {
      const pushed = output.push ? await pushOutput(exporting, { image, output, names: own, open }) : [];
      for (const name of pushed) {
        names.add(name);
        pushedNames.add(name);
      }
    } else outputs.push(await writeFile(exporting, { output, image, names: own, open }));
    for (const name of own) names.add(name);
  }
  const caches = await exportCaches({
    ...exporting,
    variants,
    mountCandidates: withPushed(knownRepositories(exporting), { image, names: [...pushedNames] }),
    inline: () => builder.inlineResults(),
  });
  if (names.size > 0 || keepsImage(request)) {
    await keepImage(exporting, { image, names: [...names].filter(isTagged), pushed: [...pushedNames] });
  }
  return {
    ...described(image, request.outputs.length > 0 || names.size > 0),
    names: [...names],
    outputs: [...outputs, ...caches.files],
    cacheExports: caches.exports,
    late: builder.late(),
  };
}

/** A cache's layers are mounted from the image that was pushed a moment ago. */
function withPushed(
  known: ReadonlyMap<Digest, readonly Repository[]>,
  { image, names }: { readonly image: Assembled; readonly names: readonly string[] },
): ReadonlyMap<Digest, readonly Repository[]> {
  const repositories = names.map(parseReference);
  const layers = imagesOf(image).flatMap(({ manifest }) => manifest.layers);
  return new Map([
    ...known,
    ...layers.map(({ digest }) => [digest, [...repositories, ...(known.get(digest) ?? [])]] as const),
  ]);
}

function described(image: Assembled, wanted: boolean): Pick<BuildResult, 'digest' | 'descriptor' | 'configDigest'> {
  const [first] = imagesOf(image);
  if (first === undefined) throw new KilnError('INTERNAL', 'a build without a result');
  const configDigest = first.configDescriptor.digest;
  if (!wanted) return { configDigest };
  const { descriptor } = topOf(image);
  const annotations = { ...image.descriptorAnnotations, 'org.opencontainers.image.created': first.createdAt };
  const platform = image.kind === 'image' ? { platform: { ...image.platform } } : {};
  return { digest: descriptor.digest, descriptor: { ...descriptor, annotations, ...platform }, configDigest };
}

/** What is pushed by its digest alone has no name that could be another image's. */
const isTagged = (name: string): boolean => parseReference(name).digest === undefined;

const fullName = (name: string): string => formatReference(parseReference(name));

function namesOf({ job }: Exporting, output: OutputRequest): readonly string[] {
  const own = isImageOutput(output) ? (output.names ?? []) : [];
  // Without a tag of their own, names that are pushed by digest would get `latest`.
  if (output.type === 'image' && output.pushByDigest === true) return [];
  return [...new Set([...job.request.tags, ...own].map(fullName))];
}

interface Writing {
  readonly output: Exclude<OutputRequest, { readonly type: 'image' }>;
  readonly image: Assembled;
  readonly names: readonly string[];
  readonly open: OpenBlob;
}

async function writeFile(exporting: Exporting, writing: Writing): Promise<OutputFile> {
  const { node, job, report } = exporting;
  const { type } = writing.output;
  const number = job.request.outputs.indexOf(writing.output);
  const name = type === 'oci' || type === 'docker' ? `writing an archive (${type})` : `writing files (${type})`;
  const progress = { type: 'progress', id: `output ${number}`, name, unit: 'bytes' } as const;
  const told = telling(node, (current) => report({ ...progress, atMs: node.clock.nowMs(), current, done: false }));
  report({ ...progress, atMs: node.clock.nowMs(), current: 0, done: false });
  const { digest, sizeBytes } = await node.content.put(told(contentOf(exporting, writing)), undefined, job.signal);
  await job.grants.keep([{ mediaType: 'application/x-tar', digest, size: sizeBytes }], job.signal);
  report({ ...progress, atMs: node.clock.nowMs(), current: sizeBytes, done: true });
  return { type, digest, sizeBytes };
}

function contentOf(
  { node, job, results, attesting }: Exporting,
  { output, image, names, open: openLayer }: Writing,
): Bytes {
  const { request, signal } = job;
  switch (output.type) {
    case 'oci':
      return writeOciLayout({ image, names, openLayer, signal });
    case 'docker':
      return writeDockerArchive({ image, names, openLayer, signal });
    case 'tar':
    case 'local': {
      const split = output.platformSplit ?? (results.length > 1 || asksForIndex(request));
      const attested = attestsFiles(request) ? { by: attesting, prefix: output.attestationPrefix ?? '' } : undefined;
      return filesTar({ results, materialiser: node.materialiser, split, attested, signal });
    }
    default:
      return unreachable(output);
  }
}

const TELL_MS = 500;

/** Tells how far a stream is, now and then. */
function telling({ clock }: EngineNode, tell: (bytes: number) => void): (source: Bytes) => Bytes {
  return async function* (source) {
    let bytes = 0;
    let toldMs = clock.nowMs();
    for await (const chunk of source) {
      bytes += chunk.byteLength;
      if (clock.nowMs() - toldMs >= TELL_MS) {
        toldMs = clock.nowMs();
        tell(bytes);
      }
      yield chunk;
    }
  };
}

function layerVariants({ node, job, report }: Exporting, open: OpenBlob): LayerVariants {
  const { content, clock } = node;
  const { variants: index, grants, signal } = job;
  const onConvert = ({ diffId }: Layer): ConversionProgress => {
    const name = `compressing ${diffId.slice(0, 'sha256:'.length + 12)}`;
    const progress = { type: 'progress', id: `layer ${diffId}`, name, unit: 'bytes' } as const;
    let current = 0;
    let toldMs = clock.nowMs();
    const tell = (done: boolean): void => {
      toldMs = clock.nowMs();
      report({ ...progress, atMs: toldMs, current, done });
    };
    tell(false);
    return {
      onBytes: (bytes) => {
        current += bytes;
        if (clock.nowMs() - toldMs >= TELL_MS) tell(false);
      },
      done: () => tell(true),
    };
  };
  return new LayerVariants({ content, index, grants, open, onConvert, signal });
}

function layerOpener({ node, job, results, images }: Exporting): OpenBlob {
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
