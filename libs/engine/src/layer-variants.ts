import type { ContentStore } from '#content';
import { convertLayer, type LayerConversion } from '#exporter';
import { type Compression, compressionOf, type Descriptor, type Digest, digestOf, type Layer } from '#oci';
import { type Bytes, canonicalJson } from '#std';
import type { BlobGrants } from './job.ts';
import { layerTar } from './layer-stream.ts';

/** Which layers the project has in another form already, by the digest of what was asked. */
export interface LayerVariantIndex {
  findVariants(keys: readonly Digest[], signal?: AbortSignal): Promise<ReadonlyMap<Digest, Layer>>;
  saveVariant(key: Digest, variant: Layer, signal?: AbortSignal): Promise<void>;
}

export interface ConversionProgress {
  readonly onBytes: (bytes: number) => void;
  readonly done: () => void;
}

export interface LayerVariantsOptions {
  readonly content: ContentStore;
  readonly index: LayerVariantIndex;
  readonly grants: Pick<BlobGrants, 'grant'>;
  /** the blob of a layer as the cache, or the base, has it */
  readonly open: (descriptor: Descriptor) => Bytes;
  /** a layer is compressed anew: told of each piece of its tar, and of the end */
  readonly onConvert: (layer: Layer) => ConversionProgress;
  readonly signal: AbortSignal;
}

/** Of what a variant's bytes depend on besides its key's other members. Raise it when the same key would give others. */
const VARIANT_VERSION = 1;

/** Layers in another compression, or with earlier times: made once and remembered. The cache's own layers stay as they are. */
export class LayerVariants {
  readonly #options: LayerVariantsOptions;
  readonly #known = new Map<Digest, Promise<Layer>>();

  constructor(options: LayerVariantsOptions) {
    this.#options = options;
  }

  /** The layer as it is where it is as wanted. */
  convert(layer: Layer, conversion: LayerConversion): Promise<Layer> {
    const key = variantKey(layer, conversion);
    let variant = this.#known.get(key);
    if (variant === undefined) {
      variant = this.#find(key, layer, conversion);
      // Who asks again in this build, after a repair, may have better luck.
      variant.catch(() => this.#known.delete(key));
      this.#known.set(key, variant);
    }
    return variant;
  }

  async #find(key: Digest, layer: Layer, conversion: LayerConversion): Promise<Layer> {
    const { index, content, grants, open, onConvert, signal } = this.#options;
    const known = (await index.findVariants([key], signal)).get(key);
    if (known !== undefined && (await content.findMissing(new Set([known.descriptor.digest]), signal)).size === 0)
      return known;
    const { onBytes, done } = onConvert(layer);
    const tar = layerTar(layer, open(layer.descriptor));
    const made = await convertLayer({ tar, content, ...conversion, onBytes, signal });
    await grants.grant([made.descriptor], signal);
    await index.saveVariant(key, made, signal);
    done();
    return made;
  }
}

/** By the tar, which tells all that a variant is made of. */
function variantKey({ diffId }: Layer, { compression, level, epoch }: LayerConversion): Digest {
  return digestOf(canonicalJson({ v: VARIANT_VERSION, diffId, compression, level, epoch }));
}

export interface WantedForm {
  readonly compression: Compression | undefined;
  readonly level: number | undefined;
  readonly force: boolean;
  /** where mtimes are rewritten */
  readonly epoch: number | undefined;
}

/** What has to be done to a layer; undefined where it is as wanted. */
export function conversionOf(
  layer: Layer,
  ofBase: boolean,
  { compression, level, force, epoch }: WantedForm,
): LayerConversion | undefined {
  const has = compressionOf(layer.descriptor.mediaType) ?? 'gzip';
  const wanted = ofBase && !force ? has : (compression ?? has);
  const newLevel = wanted !== 'none' && level !== undefined && (!ofBase || force);
  const rewrite = !ofBase && epoch !== undefined;
  if (wanted === has && !newLevel && !rewrite) return undefined;
  return { compression: wanted, ...(newLevel ? { level } : {}), ...(rewrite ? { epoch } : {}) };
}
