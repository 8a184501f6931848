import { Readable } from 'node:stream';
import { collect } from '#std';
import { type Header, pack } from 'tar-stream';

/** An entry for {@link tarOf}; a file without text is empty. */
export type TarItem = Partial<Header> & Pick<Header, 'name'> & { readonly text?: string };

/** When everything in {@link tarOf} was changed, in seconds since the epoch. */
export const TAR_MTIME = 1_700_000_000;

/** A tar of entries as given, sensible or not. */
export async function tarOf(...items: readonly TarItem[]): Promise<Buffer> {
  const tar = pack();
  for (const { text = '', ...header } of items) {
    const full = { mtime: new Date(TAR_MTIME * 1000), mode: 0o644, type: 'file' as const, ...header };
    if (full.type === 'file') tar.entry(full, text);
    else tar.entry(full);
  }
  tar.finalize();
  return collect(Readable.from(tar), 1024 ** 3);
}
