import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ImageConfigSchema, type ImageConfig } from '#oci';
import { z } from 'zod';

const run = promisify(execFile);
const Inspected = z.object({ Digest: z.string(), Layers: z.array(z.string()) });

/** An image at a registry of this machine, as skopeo and umoci see it. */
export interface SeenImage {
  readonly digest: string;
  readonly layers: readonly string[];
  readonly config: ImageConfig;
  /** the unpacked root */
  readonly root: string;
}

/** Copies an image with skopeo, unpacks it with umoci into `dir`. @param source as skopeo spells it */
export async function see(source: string, dir: string): Promise<SeenImage> {
  const tls = source.startsWith('docker://') ? ['--tls-verify=false'] : [];
  const inspected = Inspected.parse(JSON.parse((await run('skopeo', ['inspect', ...tls, source])).stdout));
  const config = (await run('skopeo', ['inspect', '--config', '--raw', ...tls, source])).stdout;
  const layout = join(dir, 'layout');
  const bundle = join(dir, 'bundle');
  for (const path of [layout, bundle]) await rm(path, { recursive: true, force: true });
  const from = source.startsWith('docker://') ? ['--src-tls-verify=false'] : [];
  await run('skopeo', ['copy', ...from, source, `oci:${layout}:latest`]);
  await run('umoci', ['unpack', '--image', `${layout}:latest`, bundle]);
  return {
    digest: inspected.Digest,
    layers: inspected.Layers,
    config: ImageConfigSchema.parse(JSON.parse(config)),
    root: join(bundle, 'rootfs'),
  };
}

/** Text of a file in an image's root. */
export async function textIn({ root }: SeenImage, path: string): Promise<string> {
  return await readFile(join(root, path), 'utf8');
}
