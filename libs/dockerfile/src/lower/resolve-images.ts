import pLimit from 'p-limit';
import type { SourceResolver, ResolvedImage } from '#graph';
import { formatPlatform, parseReference } from '#oci';
import { isKilnError, KilnError } from '#std';
import { didYouMean } from '../parse/suggest.ts';
import type { ImageSource } from './stage-plan.ts';

const PARALLEL = 8;

/** The images of one build, each asked for once. */
export class ImageBook {
  readonly #resolver: SourceResolver;
  readonly #stageNames: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #known = new Map<string, ResolvedImage>();

  constructor(resolver: SourceResolver, stageNames: readonly string[], signal: AbortSignal | undefined) {
    this.#resolver = resolver;
    this.#stageNames = stageNames;
    this.#signal = signal;
  }

  /**
   * Resolves those that are not known yet, at the same time; the first failure stops the others.
   * @throws what the resolver throws, with the line
   */
  async resolve(sources: readonly ImageSource[]): Promise<void> {
    const wanted = new Map(sources.map((source) => [keyOf(source), source]));
    const failed = new AbortController();
    const signal = this.#signal === undefined ? failed.signal : AbortSignal.any([this.#signal, failed.signal]);
    const limit = pLimit(PARALLEL);
    const running = [...wanted]
      .filter(([key]) => !this.#known.has(key))
      .map(([key, source]) =>
        limit(async () => {
          signal.throwIfAborted();
          this.#known.set(key, await this.#one(source, signal));
        }),
      );
    try {
      await Promise.all(running);
    } catch (thrown) {
      failed.abort();
      await Promise.allSettled(running);
      throw thrown;
    }
  }

  /** @throws KilnError INTERNAL for an image that was not resolved */
  get(source: ImageSource): ResolvedImage {
    const image = this.#known.get(keyOf(source));
    if (image === undefined) throw new KilnError('INTERNAL', `the image ${source.reference} was not resolved`);
    return image;
  }

  async #one({ reference, platform, line, name, layout }: ImageSource, signal: AbortSignal): Promise<ResolvedImage> {
    try {
      const { digest } = parseReference(reference);
      if (layout !== undefined && digest !== undefined) {
        return await this.#resolver.layout(layout, digest, platform, signal);
      }
      return await this.#resolver.resolve(reference, platform, signal);
    } catch (thrown) {
      if (!isKilnError(thrown) || thrown.line !== undefined) throw thrown;
      const { code, message, hint } = thrown;
      // Where no registry answers, nobody can tell either that there is no such image.
      const missing = code === 'IMAGE_NOT_FOUND' || code === 'REGISTRY_UNREACHABLE';
      const near = missing ? didYouMean(name, this.#stageNames) : '';
      throw new KilnError(code, `${message}${near}`, { hint, line, cause: thrown });
    }
  }
}

function keyOf({ reference, platform, layout = '' }: ImageSource): string {
  return `${layout} ${formatPlatform(platform)} ${reference}`;
}
