import type { KeyBook } from '#cache';
import type { ContentStore } from '#content';
import { listingChanges } from '#context';
import type { Vertex } from '#graph';
import { type Digest, digestOf } from '#oci';
import type { FileChange } from '#protocol';
import type { Explaining } from '#solver';
import { collect, isKilnError } from '#std';
import type { BlobGrants } from './job.ts';
import type { EngineRunner } from './runner.ts';
import type { SecretMask } from './secret-mask.ts';

/** A longer list of files is not kept: what changed among so many is told without names. */
const LISTING_LIMIT_BYTES = 8 * 1024 ** 2;
const TEXT = 'text/plain';

export interface ExplainingOptions {
  readonly book: KeyBook;
  readonly runner: EngineRunner;
  readonly content: ContentStore;
  readonly grants: BlobGrants;
  readonly mask: SecretMask;
  readonly onFailure: Explaining['onFailure'];
  readonly signal: AbortSignal;
}

/** What a build's misses are explained with: lists of what its steps take, kept in the content store by the digest that keys have. */
export function explaining(options: ExplainingOptions): Explaining {
  const { book, runner, content, grants, mask, onFailure, signal } = options;
  return {
    book,
    onFailure,
    mask: (text) => mask.text(text),
    async fileChanges(vertex: Vertex, input: number, old: Digest): Promise<readonly FileChange[] | undefined> {
      const now = runner.taken(vertex, input);
      const before = await textOf(content, old, signal);
      if (now === undefined || before === undefined) return undefined;
      return listingChanges({ old: before, new: now.listing }, now.selections);
    },
    async keepSelections(vertex: Vertex): Promise<void> {
      for (const input of vertex.inputs.keys()) {
        const bytes = Buffer.from(runner.taken(vertex, input)?.listing ?? '');
        if (bytes.length === 0 || bytes.length > LISTING_LIMIT_BYTES) continue;
        const digest = digestOf(bytes);
        await content.put(once(bytes), digest, signal);
        await grants.keep([{ mediaType: TEXT, digest, size: bytes.length }]);
      }
    },
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Undefined where it is not kept any more, or never was. */
async function textOf(content: ContentStore, digest: Digest, signal: AbortSignal): Promise<string | undefined> {
  try {
    return Buffer.from(await collect(content.get(digest, signal), LISTING_LIMIT_BYTES)).toString('utf8');
  } catch (thrown) {
    if (isKilnError(thrown, 'NOT_FOUND') || isKilnError(thrown, 'BLOB_CORRUPT')) return undefined;
    throw thrown;
  }
}
