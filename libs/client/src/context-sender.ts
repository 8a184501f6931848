import type { LocalFile } from '#context';
import type { Digest } from '#oci';
import { MAX_PACK_FILES } from '#protocol';
import { KilnError } from '#std';
import { type BlobUploads, LARGE_BYTES, PACK_BYTES } from './blob-uploads.ts';
import { ENTRY_BYTES, type WantedFile } from './file-pack.ts';

/** What was sent so far. */
export interface SentCount {
  readonly files: number;
  /** of the files' contents */
  readonly sizeBytes: number;
}

export interface ContextSenderOptions {
  /** of all contexts of a build */
  readonly files: ReadonlyMap<Digest, LocalFile>;
  readonly uploads: Pick<BlobUploads, 'pack' | 'large'>;
  /** told after each upload */
  readonly onSent?: ((sent: SentCount) => void) | undefined;
}

/** Sends files of a build's contexts: what is asked for twice at a time travels once. */
export class ContextSender {
  readonly #options: ContextSenderOptions;
  readonly #going = new Map<Digest, Promise<void>>();
  #sent: SentCount = { files: 0, sizeBytes: 0 };

  constructor(options: ContextSenderOptions) {
    this.#options = options;
  }

  get sent(): SentCount {
    return this.#sent;
  }

  /**
   * Resolves when these are with the farm.
   * @throws KilnError CONTEXT_INVALID naming a file that is not what it was, or for what is of no context; what the farm says
   */
  async send(digests: Iterable<Digest>, signal: AbortSignal): Promise<void> {
    const works = new Set<Promise<void>>();
    const small: WantedFile[] = [];
    for (const digest of new Set(digests)) {
      const going = this.#going.get(digest);
      const file = this.#options.files.get(digest);
      if (going !== undefined) works.add(going);
      else if (file === undefined) throw new KilnError('CONTEXT_INVALID', `no file of the context is ${digest}`);
      else if (file.sizeBytes <= LARGE_BYTES) small.push({ digest, file });
      else works.add(this.#start([{ digest, file }], () => this.#options.uploads.large({ digest, file }, signal)));
    }
    for (const pack of packsOf(small)) works.add(this.#start(pack, () => this.#options.uploads.pack(pack, signal)));
    await Promise.allSettled(works);
    await Promise.all(works);
  }

  #start(wanted: readonly WantedFile[], upload: () => Promise<void>): Promise<void> {
    const work = (async () => {
      try {
        await upload();
        this.#count(wanted);
      } finally {
        for (const { digest } of wanted) this.#going.delete(digest);
      }
    })();
    work.catch(() => {});
    for (const { digest } of wanted) this.#going.set(digest, work);
    return work;
  }

  #count(wanted: readonly WantedFile[]): void {
    const { files, sizeBytes } = this.#sent;
    const more = wanted.reduce((sum, { file }) => sum + file.sizeBytes, 0);
    this.#sent = { files: files + wanted.length, sizeBytes: sizeBytes + more };
    this.#options.onSent?.(this.#sent);
  }
}

function* packsOf(wanted: readonly WantedFile[]): Generator<readonly WantedFile[]> {
  let pack: WantedFile[] = [];
  let size = 0;
  for (const each of wanted) {
    const more = each.file.sizeBytes + ENTRY_BYTES;
    if (pack.length === MAX_PACK_FILES || (pack.length > 0 && size + more > PACK_BYTES)) {
      yield pack;
      pack = [];
      size = 0;
    }
    pack.push(each);
    size += more;
  }
  if (pack.length > 0) yield pack;
}
