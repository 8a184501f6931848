import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackFiles } from '#client';
import { type Bytes, isKilnError, systemCode } from '#std';
import { z } from 'zod';
import { usageError } from '../usage.ts';
import { replaceWithText } from './write-file.ts';

const REF = 'org.opencontainers.image.ref.name';
const NAME = 'io.containerd.image.name';
const Index = z.looseObject({
  manifests: z.array(z.looseObject({ digest: z.string(), annotations: z.record(z.string(), z.string()).optional() })),
});
type Index = z.infer<typeof Index>;

/** Adds an image to an OCI layout in a directory: what the layout has besides stays, and gives up the names of the new one. */
export async function addToLayout(archive: Bytes, directory: string, signal: AbortSignal): Promise<void> {
  const path = join(directory, 'index.json');
  const before = await readIndex(path);
  await unpackFiles(archive, { into: directory, signal });
  const added = await readIndex(path);
  if (before === undefined || added === undefined) return;
  const nameOf = ({ annotations, digest }: Index['manifests'][number]): string =>
    annotations?.[NAME] ?? annotations?.[REF] ?? digest;
  const taken = new Set(added.manifests.map(nameOf));
  const kept = before.manifests.filter((entry) => !taken.has(nameOf(entry)));
  await replaceWithText(path, JSON.stringify({ ...added, manifests: [...kept, ...added.manifests] }));
}

async function readIndex(path: string): Promise<Index | undefined> {
  try {
    return Index.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    if (isKilnError(thrown)) throw thrown;
    throw usageError(`${path} is not the index of an OCI layout`, 'name an empty directory, or a layout', thrown);
  }
}
