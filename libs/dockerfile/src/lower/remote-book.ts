import pLimit from 'p-limit';
import type { FileQuery, GitSource, RefAnswer, SourceResolver } from '#graph';
import { type Digest, digestOf } from '#oci';
import { canonicalJson } from '#std';
import { atLine } from '../invalid.ts';

const PARALLEL = 8;
/** Stands for what is not known yet; what is lowered with it is thrown away. */
const UNKNOWN: { readonly digest: Digest; readonly ref: RefAnswer } = {
  digest: digestOf(''),
  ref: { commit: '0'.repeat(40), ref: 'HEAD' },
};

/**
 * The files and git repositories that a Dockerfile adds. Their names are known only when the instructions before them are
 * lowered, which asks nobody: so what is asked for here is noted at first, then resolved all at the same time, and the
 * stages are lowered once more.
 */
export class RemoteBook {
  readonly #resolver: SourceResolver;
  readonly #signal: AbortSignal | undefined;
  readonly #files = new Map<string, Digest>();
  readonly #refs = new Map<string, RefAnswer>();
  readonly #wanted = new Map<string, { readonly line: number; readonly ask: (signal: AbortSignal) => Promise<void> }>();

  constructor(resolver: SourceResolver, signal: AbortSignal | undefined) {
    this.#resolver = resolver;
    this.#signal = signal;
  }

  /** @param line where it is named first */
  file(query: FileQuery, line: number): Digest {
    const key = `file ${canonicalJson({ ...query })}`;
    const known = this.#files.get(key);
    if (known === undefined) {
      this.#want(key, line, async (signal) => void this.#files.set(key, await this.#resolver.file(query, signal)));
    }
    return known ?? UNKNOWN.digest;
  }

  /** @param line where it is named first */
  repository(source: GitSource, line: number): RefAnswer {
    const { remote, ref, checksum } = source;
    const key = `git ${canonicalJson({ remote, ref, checksum })}`;
    const known = this.#refs.get(key);
    if (known === undefined) {
      this.#want(
        key,
        line,
        async (signal) => void this.#refs.set(key, await this.#resolver.repository(source, signal)),
      );
    }
    return known ?? UNKNOWN.ref;
  }

  /**
   * Resolves what was asked for and is not known; the first failure stops the others.
   * @returns whether there was something: what was lowered before does not count then
   * @throws what the resolver throws, with the line
   */
  async settle(): Promise<boolean> {
    const wanted = [...this.#wanted.values()];
    this.#wanted.clear();
    const failed = new AbortController();
    const signal = this.#signal === undefined ? failed.signal : AbortSignal.any([this.#signal, failed.signal]);
    const limit = pLimit(PARALLEL);
    const running = wanted.map(({ line, ask }) =>
      limit(async () => {
        signal.throwIfAborted();
        await ask(signal).catch((thrown: unknown) => {
          throw atLine(thrown, line);
        });
      }),
    );
    try {
      await Promise.all(running);
    } catch (thrown) {
      failed.abort();
      await Promise.allSettled(running);
      throw thrown;
    }
    return wanted.length > 0;
  }

  #want(key: string, line: number, ask: (signal: AbortSignal) => Promise<void>): void {
    if (!this.#wanted.has(key)) this.#wanted.set(key, { line, ask });
  }
}
