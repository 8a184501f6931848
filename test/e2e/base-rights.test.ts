import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Digest, digestOf, mediaType } from '#oci';
import { Permission, ProjectStore, TokenStore } from '#storage';
import { FaultRegistry, tarOf } from '#testing';
import { write } from './context.ts';
import { Farm } from './farm.ts';

const SECRET = 'what only one project may read';

let registry: FaultRegistry;
let farm: Farm;
let other: string;
let layer: Buffer;
let diffId: Digest;
beforeAll(async () => {
  registry = await FaultRegistry.start();
  farm = await Farm.start({ egressAllow: [registry.host] });
  const ids = await new ProjectStore(farm.db).ensure('other', 'main');
  other = await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
  const tar = await tarOf({ name: 'secret', text: SECRET });
  diffId = digestOf(tar);
  layer = gzipSync(tar);
  registry.addBlob('acme/private', layer);
  addImage('acme/private', layer, diffId);
  // The project that may: from now on the farm has the layer, and this builder its files.
  expect((await take('acme/private', 'first')).text).toBe(SECRET);
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

/** An image of one layer; that the repository has the layer is another matter. */
function addImage(repository: string, blob: Uint8Array, unpacked: Digest): void {
  const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };
  const config = Buffer.from(JSON.stringify({ ...platform, rootfs: { type: 'layers', diff_ids: [unpacked] } }));
  registry.addBlob(repository, config);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: { mediaType: mediaType.ociConfig, digest: digestOf(config), size: config.length },
    layers: [{ mediaType: mediaType.ociLayerGzip, digest: digestOf(blob), size: blob.length }],
  };
  registry.addManifest(repository, '1', mediaType.ociManifest, Buffer.from(JSON.stringify(manifest)));
}

async function take(
  repository: string,
  about: string,
  token?: string,
  dockerfile = `FROM scratch\nLABEL about=${about}\nCOPY --from=${registry.host}/${repository}:1 /secret /secret\n`,
): Promise<{ readonly code: number | null; readonly stderr: string; readonly text: string | undefined }> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile });
  const out = join(dir, 'out');
  const env = token === undefined ? {} : { KILN_TOKEN: token };
  const { code, stderr } = await farm.kilnBuild([dir, '--no-cache', '-o', out], { env });
  return { code, stderr, text: await readFile(join(out, 'secret'), 'utf8').catch(() => undefined) };
}

describe('a base image', () => {
  it('gives nobody a layer that its registry does not give, whatever the farm has', async () => {
    addImage('evil/named', layer, diffId);
    for (const form of ['COPY --from', 'FROM'] as const) {
      const dockerfile = form === 'FROM' ? `FROM ${registry.host}/evil/named:1\nCOPY Dockerfile /\n` : undefined;
      const { code, stderr, text } = await take('evil/named', 'named', other, dockerfile);
      expect([code, text]).toEqual([1, undefined]);
      expect(stderr).toContain(digestOf(layer));
    }
    // Nor does it become the project's by being named.
    const missing = await fetch(`${farm.url}/v1/blobs/missing`, {
      method: 'POST',
      headers: { authorization: `Bearer ${other}`, 'content-type': 'application/json' },
      body: JSON.stringify({ digests: [digestOf(layer)] }),
    });
    expect(await missing.text()).toContain(digestOf(layer));
  });

  it('is not granted by an image that is made of it and stands on nothing else', async () => {
    addImage('evil/bare', layer, diffId);
    const dir = await farm.folder();
    await write(dir, { Dockerfile: `FROM ${registry.host}/evil/bare:1\n` });
    const ran = await farm.kilnBuild([dir, '-t', `${farm.registry.host}/evil/out:1`, '--push'], {
      env: { KILN_TOKEN: other },
    });
    expect([ran.code, ran.stderr.includes(digestOf(layer))]).toEqual([1, true]);
    await farm.kilnBuild([dir, '-o', 'type=cacheonly'], { env: { KILN_TOKEN: other } });
    const rows = await farm.db.execute(
      `SELECT 1 FROM grants g JOIN projects p ON p.id = g.project_id WHERE p.name = 'other' AND g.digest = '${digestOf(layer)}'`,
    );
    expect(rows).toBe(0);
  });

  it('is not another one’s files because its config says so', async () => {
    const junk = gzipSync(await tarOf({ name: 'junk', text: 'x' }));
    registry.addBlob('evil/junk', junk);
    addImage('evil/junk', junk, diffId);
    const { code, stderr, text } = await take('evil/junk', 'junk', other);
    expect([code, text]).toEqual([1, undefined]);
    expect(stderr).toContain('its image says');
  });

  it('is proven once for a project, by a question, and pulled by nobody twice', async () => {
    registry.addBlob('other/copy', layer);
    addImage('other/copy', layer, diffId);
    const blobs = () => registry.requests.filter(({ path }) => path.includes(`blobs/${digestOf(layer)}`));
    const before = blobs().length;
    expect((await take('other/copy', 'honest', other)).text).toBe(SECRET);
    expect(
      blobs()
        .slice(before)
        .map(({ method }) => method),
    ).toEqual(['HEAD']);
    expect((await take('other/copy', 'again', other)).text).toBe(SECRET);
    expect((await take('acme/private', 'of-the-first')).text).toBe(SECRET);
    expect(blobs().length).toBe(before + 1);
  });
});
