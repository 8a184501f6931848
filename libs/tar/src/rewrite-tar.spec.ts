import { collect, single } from '#std';
import { describe, expect, it } from 'vitest';
import { rewriteTar } from './rewrite-tar.ts';
import type { TarHeader } from './tar-format.ts';
import { encodeHeader, endOfTar } from './tar-header.ts';
import { readTar } from './tar-reader.ts';

const LIMIT = 1024 * 1024;
const header = (name: string, more: Partial<TarHeader> = {}): TarHeader => ({
  name: Buffer.from(name, 'latin1'),
  type: 'file',
  mode: 0o4755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_700_000_000,
  ...more,
});
const capability = Buffer.of(1, 0, 0, 2, 0xff, 0, 0, 0);
const tar = Buffer.concat([
  encodeHeader(header('dir', { type: 'dir', mode: 0o1777 })),
  encodeHeader(header('dir/caf\xe9', { size: 5, xattrs: new Map([['security.capability', capability]]) })),
  Buffer.from('hello'.padEnd(512, '\0')),
  encodeHeader(header('old', { mtime: 5 })),
  encodeHeader(header('dir/link', { type: 'link', link: Buffer.from('dir/caf\xe9', 'latin1') })),
  endOfTar,
]);
const rewritten = (change: (entry: TarHeader) => TarHeader | undefined, open?: boolean) =>
  collect(rewriteTar(single(tar), { change, open }), LIMIT);

async function headersOf(bytes: Uint8Array): Promise<TarHeader[]> {
  const headers: TarHeader[] = [];
  for await (const entry of readTar(single(bytes))) headers.push(entry.header);
  return headers;
}

describe('rewriteTar', () => {
  it('gives a tar of ours again, byte by byte', async () => {
    expect(await rewritten((entry) => entry)).toEqual(tar);
  });

  it('changes headers and nothing else', async () => {
    const bytes = await rewritten((entry) => ({ ...entry, mtime: Math.min(entry.mtime, 1_500_000_000) }));
    const headers = await headersOf(bytes);
    expect(headers.map(({ mtime }) => mtime)).toEqual([1_500_000_000, 1_500_000_000, 5, 1_500_000_000]);
    const undone = headers.map((entry) => ({ ...entry, mtime: entry.mtime === 5 ? 5 : 1_700_000_000 }));
    expect(undone).toEqual(await headersOf(tar));
    expect(bytes.includes('hello')).toBe(true);
  });

  it('leaves entries out with what is in them, and the end where more follows', async () => {
    const bytes = await rewritten(({ type, ...rest }) => (type === 'dir' ? { type, ...rest } : undefined), true);
    expect((await headersOf(bytes)).map(({ name }) => name.toString())).toEqual(['dir/']);
    expect(bytes).toHaveLength(512);
  });
});
