import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type AssembledImage, assembleImage, assembleIndex, pushImage } from '#exporter';
import { digestOf, mediaType, parseReference, type Platform } from '#oci';
import { RegistryClient } from '#registry';
import { silentLogger, single, systemClock } from '#std';

const run = promisify(execFile);

export interface BusyBox {
  readonly platform: Platform;
  /** path of the program */
  readonly program: string;
}

/** Of this machine. */
const ownBusyBox: BusyBox = {
  platform: { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' },
  program: '/bin/busybox',
};

/** Static busyboxes as a small image each, with a user and a group; pushed as `reference`, of several as an index. */
export async function pushBaseImage(reference: string, boxes: readonly BusyBox[] = [ownBusyBox]): Promise<void> {
  const blobs = new Map<string, Buffer>();
  const images = await Promise.all(
    boxes.map(async (box) => {
      const { image, blob, layer } = await baseImage(box);
      blobs.set(layer, blob);
      return image;
    }),
  );
  const [only] = images;
  if (only === undefined) throw new Error('no image');
  await using client = new RegistryClient({
    clock: systemClock,
    credentials: () => Promise.resolve(null),
    mirrors: [],
    plainHttp: [],
    logger: silentLogger,
    egress: { allow: ['127.0.0.0/8'] },
  });
  await pushImage({
    client,
    image: images.length === 1 ? only : assembleIndex({ images }),
    reference: parseReference(reference),
    openLayer: ({ digest }) => single(blobs.get(digest) ?? Buffer.alloc(0)),
    report: () => undefined,
    beforeTag: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
}

async function baseImage(
  box: BusyBox,
): Promise<{ readonly image: AssembledImage; readonly blob: Buffer; readonly layer: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-base-'));
  try {
    const tar = await baseTar(directory, box.program);
    const blob = gzipSync(tar);
    const descriptor = { mediaType: mediaType.ociLayerGzip, digest: digestOf(blob), size: blob.length };
    const image = assembleImage({
      platform: box.platform,
      config: { Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['sh'] },
      history: [{ createdBy: 'busybox', emptyLayer: false }],
      layers: [{ descriptor, diffId: digestOf(tar) }],
      createdAt: '2026-01-02T03:04:05Z',
    });
    return { image, blob, layer: descriptor.digest };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function baseTar(directory: string, program: string): Promise<Buffer> {
  const root = join(directory, 'root');
  for (const name of ['bin', 'etc', 'tmp', 'root', 'var']) await mkdir(join(root, name), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await cp(program, join(root, 'bin/busybox'));
  const { stdout } = await run('/bin/busybox', ['--list']);
  for (const applet of stdout.split('\n').filter((name) => name !== '' && name !== 'busybox'))
    await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nweb:x:1000:\n');
  const archive = join(directory, 'layer.tar');
  await run('tar', ['--sort=name', '--mtime=@1700000000', '--owner=0', '--group=0', '-C', root, '-cf', archive, '.']);
  return await readFile(archive);
}
