import type { FileQuery, GitSource, RefAnswer, ResolvedImage, SourceResolver } from '#graph';
import { type Digest, digestOf, formatPlatform, type Platform } from '#oci';
import { isKilnError } from '#std';

/** Stands in where an image cannot be had: whoever only wants to know what a file says needs no registry for it. */
export class ForgivingResolver implements SourceResolver {
  /** what could not be asked, and why */
  readonly failed = new Map<string, string>();
  readonly #resolver: SourceResolver;

  constructor(resolver: SourceResolver) {
    this.#resolver = resolver;
  }

  resolve(reference: string, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage> {
    return this.#forgive(reference, platform, () => this.#resolver.resolve(reference, platform, signal), signal);
  }

  layout(context: string, digest: Digest, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage> {
    return this.#forgive(context, platform, () => this.#resolver.layout(context, digest, platform, signal), signal);
  }

  /** Nothing is fetched: what a file says does not depend on it. */
  async file({ url, checksum }: FileQuery): Promise<Digest> {
    return checksum ?? digestOf(url);
  }

  async repository({ ref }: GitSource): Promise<RefAnswer> {
    return { commit: '0'.repeat(40), ref };
  }

  async time(): Promise<undefined> {
    return undefined;
  }

  async #forgive(
    reference: string,
    platform: Platform,
    ask: () => Promise<ResolvedImage>,
    signal?: AbortSignal,
  ): Promise<ResolvedImage> {
    try {
      return await ask();
    } catch (thrown) {
      signal?.throwIfAborted();
      if (!isKilnError(thrown)) throw thrown;
      this.failed.set(reference, thrown.message);
      const { os, architecture } = platform;
      return {
        reference,
        digest: digestOf(`${reference} ${formatPlatform(platform)}`),
        config: { os, architecture, rootfs: { type: 'layers', diff_ids: [] } },
        unresolved: true,
      };
    }
  }
}
