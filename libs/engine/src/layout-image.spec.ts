import type { Tree, TreeEntry } from '#content';
import { digestOf, hexOf, mediaType, type Platform } from '#oci';
import { single } from '#std';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { layoutImage } from './layout-image.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const signal = new AbortController().signal;

class Layout {
  readonly content = new MemoryContentStore();
  readonly tree = new Map<string, TreeEntry>();

  async add(value: unknown): Promise<{ digest: ReturnType<typeof digestOf>; size: number }> {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const { digest, sizeBytes: size } = await this.content.put(single(text));
    const path = `blobs/sha256/${hexOf(digest)}`;
    this.tree.set(path, { path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, size, digest });
    return { digest, size };
  }

  async image(architecture: string): Promise<{ digest: ReturnType<typeof digestOf>; size: number }> {
    const layer = await this.add(`layer of ${architecture}`);
    const rootfs = { type: 'layers', diff_ids: [digestOf(architecture)] };
    const config = await this.add({ os: 'linux', architecture, rootfs });
    return await this.add({
      schemaVersion: 2,
      mediaType: mediaType.ociManifest,
      config: { mediaType: mediaType.ociConfig, ...config },
      layers: [{ mediaType: mediaType.ociLayerGzip, ...layer }],
    });
  }

  read(digest: ReturnType<typeof digestOf>, tree: Tree = this.tree): ReturnType<typeof layoutImage> {
    return layoutImage(
      { context: 'base', digest, platform: amd64, tree, content: this.content, sent: { bring: async () => {} } },
      signal,
    );
  }
}

describe('layoutImage', () => {
  it('is a manifest’s image, or that of an index for the platform', async () => {
    const layout = new Layout();
    const [arm, amd] = [await layout.image('arm64'), await layout.image('amd64')];
    const entry = (image: typeof arm, architecture: string): object => ({
      mediaType: mediaType.ociManifest,
      ...image,
      platform: { os: 'linux', architecture },
    });
    const index = {
      schemaVersion: 2,
      mediaType: mediaType.ociIndex,
      manifests: [entry(arm, 'arm64'), entry(amd, 'amd64')],
    };
    expect(await layout.read(amd.digest)).toMatchObject({ digest: amd.digest, config: { architecture: 'amd64' } });
    expect((await layout.read((await layout.add(index)).digest)).digest).toBe(amd.digest);
  });

  it('is nothing that the layout itself does not have', async () => {
    const layout = new Layout();
    const image = await layout.image('amd64');
    const elsewhere = await layout.content.put(single('{"schemaVersion":2}'));
    await expect(layout.read(elsewhere.digest)).rejects.toThrow(/is missing, or damaged/);
    for (const path of layout.tree.keys()) {
      const tree = new Map([...layout.tree].filter(([each]) => each !== path));
      await expect(layout.read(image.digest, tree), path).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    }
    const text = await layout.add('no JSON');
    await expect(layout.read(text.digest)).rejects.toThrow(/is no JSON/);
  });
});
