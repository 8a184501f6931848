import type { Tree } from '#content';
import { type FileQuery, type HttpOp, withoutCredentials } from '#graph';
import type { Digest } from '#oci';
import { FileFetcher, type KnownFile } from '#remote';
import { KilnError } from '#std';
import type { BuildJobInput, EngineNode } from './job.ts';

export interface FetchedFilesOptions {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly onPulled: (bytes: number) => void;
}

/** The files of the web that one build takes: each is asked for once. */
export class FetchedFiles {
  readonly #options: FetchedFilesOptions;
  readonly #fetcher: FileFetcher;
  readonly #asked = new Map<string, Promise<KnownFile>>();
  readonly #known = new Map<string, KnownFile>();
  /** where bytes came from */
  readonly #urls = new Map<Digest, string>();

  constructor(options: FetchedFilesOptions) {
    this.#options = options;
    const { web, content, clock, fetchLimits } = options.node;
    this.#fetcher = new FileFetcher({ web, content, clock, limitBytes: fetchLimits.maxBytes });
  }

  /** @throws what FileFetcher throws */
  async get(query: FileQuery, signal: AbortSignal): Promise<KnownFile> {
    const key = `${query.checksum ?? ''} ${query.url}`;
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#get(query, signal);
      this.#asked.set(key, asked);
    }
    const file = await asked;
    this.#known.set(keyOf(withoutCredentials(query.url), file.digest), file);
    this.#urls.set(file.digest, query.url);
    return file;
  }

  /** A file that this build asked for. */
  known({ url, digest }: HttpOp): KnownFile {
    const file = this.#known.get(keyOf(url, digest));
    if (file === undefined) throw new KilnError('INTERNAL', `the file ${url} was not resolved by this build`);
    return file;
  }

  /** Makes a file known that nobody needs to be asked for. */
  adopt({ url, digest }: HttpOp, file: KnownFile): void {
    this.#known.set(keyOf(url, digest), file);
  }

  tree(op: HttpOp): Tree {
    const { name } = op;
    const { sizeBytes: size, mtime, digest } = this.known(op);
    return new Map([[name, { path: name, type: 'file', mode: 0o600, uid: 0, gid: 0, mtime, size, digest }]]);
  }

  /** Fetches those of this build's files again whose bytes were lost. @throws as {@link get} when they are others now */
  async renew(lost: ReadonlySet<Digest>, signal: AbortSignal): Promise<void> {
    for (const digest of lost) {
      const url = this.#urls.get(digest);
      if (url !== undefined) await this.#fetcher.fetch({ url, checksum: digest }, signal);
    }
  }

  async #get({ url, checksum }: FileQuery, signal: AbortSignal): Promise<KnownFile> {
    const { job, onPulled } = this.#options;
    const last = await job.sources.file(url);
    if (checksum !== undefined) {
      // Who knows the digest need not ask anybody who has the bytes.
      const same = last?.digest === checksum ? last : await job.sources.fileOf(checksum);
      if (same !== null && (await this.#has(same.digest, signal))) return same;
    }
    const usable = last !== null && (checksum === undefined || last.digest === checksum);
    const known = usable && (await this.#has(last.digest, signal)) ? last : undefined;
    const { file, receivedBytes } = await this.#fetcher.fetch({ url, known, checksum }, signal);
    if (file !== known) {
      onPulled(receivedBytes);
      const { digest, sizeBytes: size } = file;
      await job.grants.grant([{ mediaType: 'application/octet-stream', digest, size }], signal);
      await job.sources.keepFile(url, file);
    }
    return file;
  }

  async #has(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return (await this.#options.node.content.findMissing(new Set([digest]), signal)).size === 0;
  }
}

const keyOf = (url: string, digest: Digest): string => `${digest} ${url}`;
