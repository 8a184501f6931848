import type { Bytes } from '#std';
import { padding, type TarHeader } from './tar-format.ts';
import { encodeHeader, endOfTar } from './tar-header.ts';
import { readTar } from './tar-reader.ts';

export interface RewriteOptions {
  /** what an entry's header becomes; undefined leaves the entry out. The size has to stay */
  readonly change: (header: TarHeader) => TarHeader | undefined;
  /** writes no end mark, so that another tar can follow */
  readonly open?: boolean | undefined;
}

/**
 * A tar with other headers: the same bytes for the same entries, whoever wrote the first one. Access and change times,
 * and names of owners, are left out.
 * @throws KilnError BLOB_CORRUPT as `readTar` does; what the source throws
 */
export async function* rewriteTar(source: Bytes, { change, open = false }: RewriteOptions): Bytes {
  for await (const { header, body } of readTar(source)) {
    const changed = change(header);
    if (changed === undefined) continue;
    yield encodeHeader(changed);
    yield* body;
    const rest = padding(changed.size);
    if (rest > 0) yield Buffer.alloc(rest);
  }
  if (!open) yield endOfTar;
}
