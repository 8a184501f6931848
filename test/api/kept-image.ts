import { type Descriptor, digestOf } from '#oci';
import type { ImageContent } from '#protocol';
import { BlobIndex, BuildImages, type Claim, type Database } from '#storage';

const blob = (text: string): Descriptor => ({
  mediaType: 'application/test',
  digest: digestOf(text),
  size: text.length,
});

/** What an image of this name is made of: the digests are those of these words. */
export const blobsOf = (name: string): readonly string[] => [
  `manifest ${name}`,
  `config ${name}`,
  `layer ${name}`,
  `statement ${name}`,
];

export interface Told {
  readonly names?: readonly string[];
  readonly kept?: boolean;
}

/** An image as a build under this claim tells of it; nobody has its bytes. */
export async function keptImage(
  { db }: { readonly db: Database },
  claim: Claim,
  name: string,
  { names = [`docker.io/acme/${name}:1`], kept = true }: Told = {},
): Promise<ImageContent> {
  const [manifest, config, layer] = [blob(`manifest ${name}`), blob(`config ${name}`), blob(`layer ${name}`)];
  const statement = blob(`statement ${name}`);
  const blobs = [manifest, config, layer, statement].map(({ digest, size }) => ({ digest, sizeBytes: size }));
  await new BlobIndex(db).grant(claim.projectId, blobs);
  const image: ImageContent = {
    descriptor: manifest,
    createdAt: '2026-01-01T00:00:00.000Z',
    variants: [
      {
        platform: { os: 'linux', architecture: 'amd64' },
        digest: manifest.digest,
        id: config.digest,
        sizeBytes: config.size + layer.size,
        history: [{ createdBy: 'RUN x', layer: { descriptor: layer, diffId: digestOf(`diff ${name}`) } }],
        attestations: [{ predicateType: 'https://spdx.dev/Document', descriptor: statement }],
      },
    ],
  };
  const told = { image, names, kept, documents: [manifest, config, statement], layers: [layer], deltas: [] };
  await new BuildImages(db, claim).keep(told);
  return image;
}
