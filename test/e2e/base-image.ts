import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { assembleImage, pushImage } from '#exporter';
import { digestOf, mediaType, parseReference } from '#oci';
import { RegistryClient } from '#registry';
import { silentLogger, single, systemClock } from '#std';

const run = promisify(execFile);

/** Debian's static busybox as a small image with a user and a group; pushed as `reference`. */
export async function pushBaseImage(reference: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-base-'));
  try {
    const tar = await baseTar(directory);
    const blob = gzipSync(tar);
    const descriptor = { mediaType: mediaType.ociLayerGzip, digest: digestOf(blob), size: blob.length };
    const image = assembleImage({
      platform: { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' },
      config: { Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['sh'] },
      history: [{ createdBy: 'busybox', emptyLayer: false }],
      layers: [{ descriptor, diffId: digestOf(tar) }],
      createdAt: '2026-01-02T03:04:05Z',
    });
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
      image,
      reference: parseReference(reference),
      openLayer: () => single(blob),
      report: () => undefined,
      beforeTag: () => Promise.resolve(),
      signal: new AbortController().signal,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function baseTar(directory: string): Promise<Buffer> {
  const root = join(directory, 'root');
  for (const name of ['bin', 'etc', 'tmp', 'root', 'var']) await mkdir(join(root, name), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await cp('/bin/busybox', join(root, 'bin/busybox'));
  const { stdout } = await run('/bin/busybox', ['--list']);
  for (const applet of stdout.split('\n').filter((name) => name !== '' && name !== 'busybox'))
    await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nweb:x:1000:\n');
  const archive = join(directory, 'layer.tar');
  await run('tar', ['--sort=name', '--mtime=@1700000000', '--owner=0', '--group=0', '-C', root, '-cf', archive, '.']);
  return await readFile(archive);
}
