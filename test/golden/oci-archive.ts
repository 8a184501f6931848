import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { digestOf } from '#oci';
import { extract } from 'tar-stream';
import { z } from 'zod';

const Descriptor = z.object({
  mediaType: z.string(),
  digest: z.string(),
  platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }).optional(),
});
const Index = z.object({ manifests: z.array(Descriptor) });
const Manifest = z.object({ config: Descriptor, layers: z.array(Descriptor).default([]) });
const DockerManifest = z.tuple([z.object({ Config: z.string(), Layers: z.array(z.string()) })]);

/** An image as bytes. */
export interface ReadImage {
  /** of the manifest; empty where the archive has none */
  readonly digest: string;
  readonly config: unknown;
  /** uncompressed, the lowest first */
  readonly layers: readonly Buffer[];
}

/** Reads an OCI image layout, or what `docker save` writes, out of a tar. @param platform as in linux/arm64 */
export async function readArchive(path: string, platform = 'linux/amd64'): Promise<ReadImage> {
  const files = await filesOf(await readFile(path));
  const saved = files.get('manifest.json');
  return files.has('index.json') ? readLayout(files, platform) : readSaved(files, saved ?? Buffer.of());
}

function readLayout(files: ReadonlyMap<string, Buffer>, platform: string): ReadImage {
  const blob = (digest: string): Buffer => {
    const bytes = files.get(`blobs/${digest.replace(':', '/')}`);
    if (bytes === undefined) throw new Error(`the layout has no ${digest}`);
    if (digestOf(bytes) !== digest) throw new Error(`${digest} does not hold what it says`);
    return bytes;
  };
  let descriptor = pick(Index.parse(parseJson(files.get('index.json'))).manifests, platform);
  if (/index|list/.test(descriptor.mediaType)) {
    descriptor = pick(Index.parse(parseJson(blob(descriptor.digest))).manifests, platform);
  }
  const manifest = Manifest.parse(parseJson(blob(descriptor.digest)));
  return {
    digest: descriptor.digest,
    config: parseJson(blob(manifest.config.digest)),
    layers: manifest.layers.map(({ digest }) => decompress(blob(digest))),
  };
}

function pick(all: readonly z.infer<typeof Descriptor>[], wanted: string): z.infer<typeof Descriptor> {
  const images = all.filter(({ platform }) => platform?.os !== 'unknown');
  const found = images.find(({ platform: p }) => p !== undefined && wanted.startsWith(`${p.os}/${p.architecture}`));
  const image = found ?? images[0];
  if (image === undefined) throw new Error('the layout has no image');
  return image;
}

function readSaved(files: ReadonlyMap<string, Buffer>, manifest: Buffer): ReadImage {
  const [{ Config, Layers }] = DockerManifest.parse(parseJson(manifest));
  const layers = Layers.map((name) => decompress(files.get(name) ?? Buffer.of()));
  return { digest: '', config: parseJson(files.get(Config)), layers };
}

const parseJson = (bytes: Buffer | undefined): unknown => JSON.parse(bytes?.toString('utf8') ?? 'null');

function decompress(bytes: Buffer): Buffer {
  if (bytes.subarray(0, 2).equals(Buffer.of(0x1f, 0x8b))) return gunzipSync(bytes);
  return bytes.subarray(0, 4).equals(Buffer.of(0x28, 0xb5, 0x2f, 0xfd)) ? zstdDecompressSync(bytes) : bytes;
}

async function filesOf(tar: Buffer): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const links: [string, string][] = [];
  const entries = extract();
  Readable.from([tar]).pipe(entries);
  for await (const entry of entries) {
    const { name, type, linkname } = entry.header;
    if (type === 'file') files.set(name, await buffer(entry));
    else entry.resume();
    // `docker save` writes a layer that occurs twice as a link to the first.
    if (type === 'symlink') links.push([name, linkname ?? '']);
  }
  for (const [name, target] of links) {
    const bytes = files.get(target.replace(/^(\.\.\/)+/, ''));
    if (bytes !== undefined) files.set(name, bytes);
  }
  return files;
}
