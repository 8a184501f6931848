import type { ContentStore } from '#content';
import { type Descriptor, type Digest, digestOf, type Platform, type Reference } from '#oci';
import { type Bytes, KilnError, type Random, systemRandom } from '#std';
import { Authorizer } from './authorizer.ts';
import { type BlobStreamOptions, streamBlob } from './blob-stream.ts';
import { checkBlob } from './check-blob.ts';
import { copyBlob } from './copy-blob.ts';
import { lookupBySystem } from './connector.ts';
import { type Endpoint, mirrorEndpoints, parseMirrorUrl, registryEndpoint } from './endpoint.ts';
import { Http } from './http.ts';
import type { RegistryOptions } from './options.ts';
import { headBlob } from './head-blob.ts';
import type { Document } from './manifests.ts';
import { pushBlob, type PushOutcome } from './push-blob.ts';
import { headManifest, pushManifest } from './push-manifest.ts';
import { Reachability } from './reachability.ts';
import { Reader } from './reader.ts';
import type { Repository, Source } from './repository.ts';
import { Requests } from './requests.ts';
import { getDocument, resolveImage, type ResolvedManifest } from './resolve-image.ts';
import { withRetries } from './retries.ts';
import { TrustStore } from './trust-store.ts';
import { signIn } from './sign-in.ts';
import { Transport } from './transport.ts';

const CONNECT_TIMEOUT_MS = 2000;
const ATTEMPTS = 4;

/**
 * A client of OCI registries (https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md): reads by way of
 * mirrors, writes to the registry itself. Its tokens are those of one build's credentials, so each build has its own.
 *
 * Every method throws KilnError: IMAGE_NOT_FOUND (no such name, tag or platform), REGISTRY_DENIED (credentials, or an address
 * that must not be reached), REGISTRY_UNREACHABLE (no connection), REGISTRY_FAILED (all else, after retries); or the signal's reason.
 */
export class RegistryClient implements AsyncDisposable {
  readonly #http: Http;
  readonly #requests: Requests;
  readonly #reader: Reader;
  readonly #random: Random;
  /** what repositories were seen to have: a build may push one image under several tags */
  readonly #present = new Set<string>();

  /** @throws KilnError INVALID_ARGUMENT for a malformed mirror or egress policy */
  constructor(readonly options: RegistryOptions) {
    const { clock, logger, mirrors, plainHttp, credentials } = options;
    this.#random = options.random ?? systemRandom;
    const mirrorUrls = mirrors.map(parseMirrorUrl);
    this.#http = new Http({
      egress: options.egress ?? { allow: [] },
      mirrorHosts: mirrorUrls.map(({ host, protocol, port }) =>
        port === '' ? `${host}:${protocol === 'https:' ? 443 : 80}` : host,
      ),
      lookup: options.lookup ?? lookupBySystem,
      trust: options.trust ?? new TrustStore([]),
      connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      userAgent: options.userAgent ?? 'kiln',
    });
    const authorizer = new Authorizer({ http: this.#http, clock, credentials, plainHttp });
    this.#requests = new Requests(new Transport(this.#http, authorizer, plainHttp), clock);
    const reachability = options.reachability ?? new Reachability(clock);
    this.#reader = new Reader({ clock, logger, mirrors, plainHttp, reachability, random: this.#random });
  }

  /** Whether there are credentials for a repository's registry, or for a mirror of it. */
  async knows({ registry, repository }: Repository): Promise<boolean> {
    const { mirrors, credentials } = this.options;
    const endpoints = [this.#endpoint({ registry, repository }), ...mirrorEndpoints({ registry, repository }, mirrors)];
    for (const { host } of endpoints) if ((await credentials(host)) !== null) return true;
    return false;
  }

  /** Digest, manifest and config of an image for a platform. Of tag and digest, the digest counts. */
  async resolve(reference: Reference, platform: Platform, signal?: AbortSignal): Promise<ResolvedManifest> {
    const { value } = await this.#reader.read(
      { registry: reference.registry, repository: reference.repository },
      { signal },
      (endpoint) => resolveImage(this.#requests, { endpoint, reference, platform, signal }),
    );
    return value;
  }

  /** Whether a registry takes the credentials for it, or wants none. */
  async signIn(registry: string, signal: AbortSignal): Promise<void> {
    await signIn(this.#requests, registry, { plainHttp: this.options.plainHttp, signal });
  }

  /** What a reference stands for, as it is: a manifest or an index, of whatever it lists. */
  async document(
    reference: Reference,
    options: {
      /** ask the registry itself, which alone knows what a tag stands for at this moment */
      readonly fresh?: boolean | undefined;
    } = {},
    signal?: AbortSignal,
  ): Promise<Document> {
    const { registry, repository, tag, digest } = reference;
    const get = (endpoint: Endpoint): Promise<Document> =>
      getDocument(this.#requests, { endpoint, reference, signal }, digest ?? tag ?? 'latest', digest);
    if (options.fresh === true) return await this.#patiently(signal, () => get(this.#endpoint(reference)));
    return (await this.#reader.read({ registry, repository }, { signal }, get)).value;
  }

  /** A blob's bytes; the stream fails at its end when they are not those of the digest. Resumes what breaks off. */
  fetchBlob(source: Source, descriptor: Descriptor, signal?: AbortSignal): Bytes {
    return streamBlob(this.#stream(source, descriptor, signal));
  }

  /** Brings a blob into a content store; whatever breaks off or is damaged on the way is fetched again, within limits. */
  copyBlob(
    source: Source,
    descriptor: Descriptor,
    options: {
      readonly into: ContentStore;
      /** called with the size of each piece that arrives, those of attempts that fail too */
      readonly onBytes?: ((bytes: number) => void) | undefined;
    },
    signal?: AbortSignal,
  ): Promise<void> {
    return copyBlob({ ...this.#stream(source, descriptor, signal), ...options });
  }

  /** Whether this build may read a blob of a repository: asks whoever would be asked for its bytes. */
  async checkBlob(source: Source, descriptor: Descriptor, signal?: AbortSignal): Promise<void> {
    await this.#reader.read(source, { signal }, (endpoint) =>
      checkBlob({ requests: this.#requests, endpoint, descriptor, signal }),
    );
  }

  /** Size in bytes of a blob that the registry itself has in this repository, or null. */
  headBlob(repository: Repository, digest: Digest, signal?: AbortSignal): Promise<number | null> {
    const endpoint = this.#endpoint(repository);
    return this.#patiently(signal, () =>
      headBlob({ requests: this.#requests, endpoint, descriptor: { digest }, signal }),
    );
  }

  /** What the tag (without one, the digest) stands for at the registry itself; null when it is not there, or not told. */
  headManifest(reference: Reference, signal?: AbortSignal): Promise<Descriptor | null> {
    const at = { requests: this.#requests, endpoint: this.#endpoint(reference), reference, signal };
    return this.#patiently(signal, () => headManifest(at));
  }

  /**
   * Brings a blob into a repository. `open` is called only when the registry lacks the blob, and again for each retry.
   * @throws KilnError BLOB_CORRUPT when `open` gives another number of bytes than the descriptor says; what `open` throws
   */
  async pushBlob(
    to: Repository,
    descriptor: Descriptor,
    open: () => Bytes,
    options: {
      /** a repository of the same registry that may have the blob */
      readonly mountFrom?: string | undefined;
    } = {},
    signal?: AbortSignal,
  ): Promise<PushOutcome> {
    const { clock } = this.options;
    const endpoint = this.#endpoint(to);
    const { mountFrom } = options;
    const name = `${to.registry}/${to.repository}@${descriptor.digest}`;
    if (this.#present.has(name)) return 'exists';
    const outcome = await pushBlob({
      requests: this.#requests,
      random: this.#random,
      clock,
      endpoint,
      descriptor,
      open,
      mountFrom,
      signal,
    });
    this.#present.add(name);
    return outcome;
  }

  /** Puts a manifest under the reference's tag, or by its digest alone when it has none; its blobs have to be there. */
  pushManifest(reference: Reference, mediaType: string, bytes: Uint8Array, signal?: AbortSignal): Promise<Digest> {
    const digest = digestOf(bytes);
    if (reference.digest !== undefined && reference.digest !== digest) {
      throw new KilnError('INVALID_ARGUMENT', `the manifest is ${digest}, not ${reference.digest}`);
    }
    const at = { requests: this.#requests, endpoint: this.#endpoint(reference), reference, signal };
    return this.#patiently(signal, () => pushManifest(at, mediaType, bytes));
  }

  /** Ends all connections. */
  close(): Promise<void> {
    return this.#http.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #stream(source: Source, descriptor: Descriptor, signal: AbortSignal | undefined): BlobStreamOptions {
    const { clock } = this.options;
    return {
      requests: this.#requests,
      reader: this.#reader,
      random: this.#random,
      clock,
      source,
      descriptor,
      signal,
    };
  }

  #endpoint(repository: Repository): Endpoint {
    return registryEndpoint(repository, this.options.plainHttp);
  }

  #patiently<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { clock } = this.options;
    return withRetries({ clock, random: this.#random, attempts: ATTEMPTS, retryUnreachable: true, signal }, work);
  }
}
