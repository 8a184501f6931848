import { familiarReference, hexOf, parseReference } from '#oci';
import { type Bytes, canonicalJson, type Json, KilnError } from '#std';
import { fileOf, writeArchive } from './archive.ts';
import type { AssembledImage } from './assemble-image.ts';
import { imagesOf } from './assemble-index.ts';
import { blobPath, layoutDirectories, layoutFiles, type OciLayoutOptions } from './oci-layout.ts';

/**
 * A tar that `docker load` and `podman load` take: an OCI layout, and beside it the `manifest.json` and `repositories` of
 * `docker save`, which name the same blobs.
 * @throws KilnError INVALID_ARGUMENT for several platforms, and as `writeOciLayout` does
 */
export async function* writeDockerArchive(options: OciLayoutOptions): Bytes {
  const [image, ...others] = imagesOf(options.image);
  if (image === undefined || others.length > 0) {
    throw new KilnError(
      'INVALID_ARGUMENT',
      'an archive for docker load holds one platform, and this build has several',
      {
        hint: 'build one platform, or use --output type=oci',
      },
    );
  }
  const tags = [...new Set(options.names)].map((name) => familiarReference(parseReference(name)));
  const files = [
    ...layoutFiles({ ...options, image }),
    fileOf('manifest.json', Buffer.from(canonicalJson(saved(image, tags)))),
    ...(tags.length === 0 ? [] : [fileOf('repositories', Buffer.from(canonicalJson(repositories(image, tags))))]),
  ];
  yield* writeArchive({ directories: layoutDirectories, files, signal: options.signal });
}

function saved({ configDescriptor, manifest }: AssembledImage, tags: readonly string[]): Json {
  return [
    {
      Config: blobPath(configDescriptor),
      RepoTags: tags.length === 0 ? null : [...tags],
      Layers: manifest.layers.map(blobPath),
    },
  ];
}

/** By repository and tag the image's last layer. */
function repositories({ manifest, configDescriptor }: AssembledImage, tags: readonly string[]): Json {
  const last = hexOf((manifest.layers.at(-1) ?? configDescriptor).digest);
  const found: Record<string, Record<string, string>> = {};
  for (const tag of tags) {
    const colon = tag.lastIndexOf(':');
    if (colon <= tag.lastIndexOf('/')) continue;
    const name = tag.slice(0, colon);
    found[name] = { ...found[name], [tag.slice(colon + 1)]: last };
  }
  return found;
}
