import type { Descriptor, Digest, ImageConfig, Manifest, Platform, Reference } from '#oci';
import { type Bytes, KilnError } from '#std';
import type { RegistryOptions } from './options.ts';
import type { Repository, Source } from './repository.ts';

/** An image for one platform, every part verified by its digest. */
export interface ResolvedManifest {
  /** the image that was asked for, whoever answered */
  readonly reference: Reference;
  /** of the manifest for the platform */
  readonly digest: Digest;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly rawManifest: Uint8Array;
  readonly config: ImageConfig;
  readonly rawConfig: Uint8Array;
  /** a stand-in answered, because neither the registry nor its mirrors can be reached */
  readonly standIn: boolean;
}

export type PushOutcome = 'exists' | 'mounted' | 'pushed';

export class RegistryClient implements AsyncDisposable {
  constructor(readonly options: RegistryOptions) {}
  resolve(_reference: Reference, _platform: Platform, _signal?: AbortSignal): Promise<ResolvedManifest> {
    throw todo();
  }
  fetchBlob(_source: Source, _descriptor: Descriptor, _signal?: AbortSignal): Bytes {
    throw todo();
  }
  headBlob(_repository: Repository, _digest: Digest, _signal?: AbortSignal): Promise<number | null> {
    throw todo();
  }
  headManifest(_reference: Reference, _signal?: AbortSignal): Promise<Descriptor | null> {
    throw todo();
  }
  pushBlob(
    _to: Repository,
    _descriptor: Descriptor,
    _open: () => Bytes,
    _options?: { readonly mountFrom?: string | undefined },
    _signal?: AbortSignal,
  ): Promise<PushOutcome> {
    throw todo();
  }
  pushManifest(_reference: Reference, _mediaType: string, _bytes: Uint8Array, _signal?: AbortSignal): Promise<Digest> {
    throw todo();
  }
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
const todo = (): KilnError => new KilnError('INTERNAL', 'not there yet');
