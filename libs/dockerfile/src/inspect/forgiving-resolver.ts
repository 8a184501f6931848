import type { SourceResolver, ResolvedImage } from '#graph';
import { digestOf, formatPlatform, type Platform } from '#oci';
import { isKilnError } from '#std';

/** Stands in where an image cannot be had: whoever only wants to know what a file says needs no registry for it. */
export class ForgivingResolver implements SourceResolver {
  /** what could not be asked, and why */
  readonly failed = new Map<string, string>();
  readonly #resolver: SourceResolver;

  constructor(resolver: SourceResolver) {
    this.#resolver = resolver;
  }

  async resolve(reference: string, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage> {
    try {
      return await this.#resolver.resolve(reference, platform, signal);
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
