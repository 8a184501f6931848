import { type CacheEntry, inlineCache } from '#cache-manifest';
import {
  type Assembled,
  assembleAttestation,
  type AssembledAttestation,
  assembleImage,
  type AssembledImage,
  assembleIndex,
  manifestsOf,
  type StatementBlob,
  topOf,
} from '#exporter';
import { type Descriptor, type Digest, imagePurl, type Layer, mediaType } from '#oci';
import { hexDigests, type StoredRequest, type Subject } from '#protocol';
import { KilnError, single } from '#std';
import pLimit from 'p-limit';
import { annotationsOf, checkAnnotations } from './annotation-rules.ts';
import { type Attesting, encodeStatement } from './attestations.ts';
import type { ImageForm } from './image-form.ts';
import { clampTo, createdAt, stepTimes } from './image-times.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import { conversionOf, type LayerVariants, type WantedForm } from './layer-variants.ts';
import { type PlatformResult, treeOf } from './platform-result.ts';

export interface ImageBuilderOptions {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  /** one for each platform, in the order in which an index lists them; never none */
  readonly results: readonly PlatformResult[];
  readonly variants: LayerVariants;
  /** results of steps for a cache in each image; undefined for none */
  readonly cached?: readonly CacheEntry[] | undefined;
  /** what is told of them */
  readonly attesting: Pick<Attesting, 'of'>;
}

type ImageNames = NonNullable<ImageForm['attested']>['names'];

const PARALLEL_LAYERS = 2;

/** Makes images of a build's results, each form once: the blobs of one are stored and granted when it is given. */
export class ImageBuilder {
  readonly #options: ImageBuilderOptions;
  readonly #images = new Map<string, Promise<Assembled>>();
  readonly #late: Descriptor[] = [];
  /** layers that steps of this build stand for, or that were made of others here */
  readonly #own = new Set<Digest>();
  /** results that the last image of each platform has in it */
  readonly #inline = new Map<PlatformResult, number>();

  constructor(options: ImageBuilderOptions) {
    this.#options = options;
  }

  image(form: ImageForm): Promise<Assembled> {
    const key = JSON.stringify(form);
    let image = this.#images.get(key);
    if (image === undefined) {
      image = this.#make(form);
      this.#images.set(key, image);
    }
    return image;
  }

  inlineResults(): number {
    return [...this.#inline.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Layers that were not stored when their image was made. */
  late(): readonly Descriptor[] {
    return this.#late;
  }

  async #make(form: ImageForm): Promise<Assembled> {
    const { results } = this.#options;
    const { annotations } = form;
    const index = results.length > 1 || form.index;
    checkAnnotations(annotations, { platforms: results.map(({ lowered }) => lowered.platform), index });
    const images: AssembledImage[] = [];
    for (const result of results) images.push(await this.#assemble(result, form));
    const [first] = images;
    if (first === undefined) throw new KilnError('INTERNAL', 'a build without a result');
    const image = index
      ? assembleIndex({
          images,
          attestations: await this.#attest(images, form),
          annotations: annotationsOf(annotations, 'index'),
          descriptorAnnotations: annotationsOf(annotations, 'index-descriptor'),
        })
      : first;
    await this.#keep(image);
    return image;
  }

  async #assemble(result: PlatformResult, form: ImageForm): Promise<AssembledImage> {
    const { lowered, root } = result;
    const tree = treeOf(root);
    const { platform, config, author, history, base } = lowered;
    // What a base brought need not be here, unless the image stays here.
    const stays = this.#staysHere();
    const layers = await (stays ? tree.layers() : tree.descriptors());
    if (stays) await tree.stored();
    const ofBase = base?.config.rootfs.diff_ids?.length ?? 0;
    const created = createdAt(await tree.createdAtMs(), base);
    const times = stepTimes(history, layers.slice(ofBase), created);
    const upTo = clampTo(lowered.epochSeconds);
    const epoch = form.rewriteTimestamp ? lowered.epochSeconds : undefined;
    const finalLayers = await this.#layers(layers, ofBase, { ...form, epoch });
    for (const [at, { descriptor }] of finalLayers.entries())
      if (at >= ofBase || descriptor.digest !== layers[at]?.descriptor.digest) this.#own.add(descriptor.digest);
    const inline = inlineCache(this.#options.cached ?? [], finalLayers);
    this.#inline.set(result, inline?.results ?? 0);
    return assembleImage({
      platform,
      config,
      ...(author === undefined ? {} : { author }),
      history: history.map((entry, at) => ({ ...entry, createdAt: upTo(times[at] ?? created) })),
      ...(base === undefined ? {} : { base: { config: base.config } }),
      layers: finalLayers,
      extra: inline?.members,
      createdAt: upTo(created),
      annotations: annotationsOf(form.annotations, 'manifest', platform),
      descriptorAnnotations: annotationsOf(form.annotations, 'manifest-descriptor', platform),
      dialect: form.dialect,
    });
  }

  async #attest(images: readonly AssembledImage[], { attested }: ImageForm): Promise<readonly AssembledAttestation[]> {
    if (attested === undefined) return [];
    const { results, attesting, node, job } = this.#options;
    const attestations: AssembledAttestation[] = [];
    for (const [at, image] of images.entries()) {
      const result = results[at];
      if (result === undefined) throw new KilnError('INTERNAL', 'an image without a result');
      const subject = subjectsOf(image, attested.names);
      const statements: StatementBlob[] = [];
      for await (const predicate of attesting.of(result, at)) {
        const bytes = encodeStatement(predicate, subject);
        const { digest } = await node.content.put(single(bytes), undefined, job.signal);
        const descriptor = { mediaType: mediaType.inToto, digest, size: bytes.byteLength };
        statements.push({ descriptor, predicateType: predicate.type });
        this.#own.add(digest);
      }
      attestations.push(assembleAttestation({ image, statements, artifact: attested.artifact }));
    }
    return attestations;
  }

  async #layers(layers: readonly Layer[], ofBase: number, wanted: WantedForm): Promise<Layer[]> {
    const { variants } = this.#options;
    const limit = pLimit(PARALLEL_LAYERS);
    const converted = layers.map((layer, at) => {
      const conversion = conversionOf(layer, at < ofBase, wanted);
      return conversion === undefined ? Promise.resolve(layer) : limit(() => variants.convert(layer, conversion));
    });
    // None is still at work when this one gives up.
    await Promise.allSettled(converted);
    return await Promise.all(converted);
  }

  /**
   * Configs, manifests and index in the content store, and granted to the project as are the layers that it made. Those of a
   * base are its own once they were pulled: a base's manifest may name any blob of the farm.
   */
  async #keep(image: Assembled): Promise<void> {
    const { node, job } = this.#options;
    const { signal } = job;
    const top = topOf(image);
    const documents = new Map([[top.descriptor, top.bytes]]);
    for (const { configDescriptor, configBytes, manifestDescriptor, manifestBytes } of manifestsOf(image))
      documents.set(configDescriptor, configBytes).set(manifestDescriptor, manifestBytes);
    const layers = manifestsOf(image).flatMap(({ manifest }) => manifest.layers);
    // Nobody may need to have fetched a base's.
    const all = [...documents.keys(), ...layers].map(({ digest }) => digest);
    const absent = await node.content.findMissing(new Set(all), signal);
    for (const [{ digest }, bytes] of documents) {
      if (absent.has(digest)) await node.content.put(single(bytes), digest, signal);
    }
    const own = layers.filter(({ digest }) => this.#own.has(digest));
    await job.grants.grant([...documents.keys(), ...own.filter(({ digest }) => !absent.has(digest))], signal);
    this.#late.push(...own.filter(({ digest }) => absent.has(digest)));
  }

  #staysHere(): boolean {
    return keepsImage(this.#options.job.request);
  }
}

/** A platform's image under each of its names. */
function subjectsOf({ manifestDescriptor, platform }: AssembledImage, names: ImageNames): readonly Subject[] {
  const digest = hexDigests(manifestDescriptor.digest);
  const all = names.map((name) => ({ name: imagePurl(name, platform), digest }));
  return all.length === 0 ? [{ name: '_', digest }] : all;
}

/** Whether all blobs of the image are to be in the content store when the build ends. */
export function keepsImage({ outputs }: StoredRequest): boolean {
  return outputs.some((output) => output.type === 'image' && !output.push);
}
