import { familiarReference, type ImageConfig, parseReference } from '#oci';
import type { ImageDetail, ImageEntry, ImageView } from '#protocol';
import { familiarRepository } from './push-output.ts';

type Json = Readonly<Record<string, unknown>>;

const familiar = (name: string): string => familiarReference(parseReference(name));
const seconds = (time: string | undefined): number =>
  time === undefined ? 0 : Math.floor(new Date(time).getTime() / 1000);
const digestsOf = ({ digest, repositories }: ImageView): readonly string[] =>
  repositories.map((repository) => `${familiarRepository(repository)}@${digest}`);

/** An image in `docker images`, and with `-a` those that it was on its way. Sizes are those of the layers as registries hold them. */
export function summaries(image: ImageView): readonly Json[] {
  const { id, names, createdAt, sizeBytes, intermediates = [] } = image;
  const chain = [{ id, createdAt, sizeBytes }, ...intermediates];
  return chain.map((each, at) => ({
    Id: each.id,
    ParentId: chain[at + 1]?.id ?? '',
    RepoTags: at === 0 ? names.map(familiar) : [],
    RepoDigests: at === 0 ? digestsOf(image) : [],
    Created: seconds(each.createdAt),
    Size: each.sizeBytes,
    VirtualSize: each.sizeBytes,
    SharedSize: -1,
    Containers: -1,
    Labels: null,
  }));
}

/** `docker inspect` */
export function inspected(image: ImageDetail, config: ImageConfig): Json {
  const { id, names, createdAt, sizeBytes } = image;
  return {
    Id: id,
    RepoTags: names.map(familiar),
    RepoDigests: digestsOf(image),
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: createdAt,
    DockerVersion: '',
    Author: config.author ?? '',
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: sizeBytes,
    VirtualSize: sizeBytes,
    GraphDriver: { Name: 'kiln', Data: null },
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids ?? [] },
    Metadata: { LastTagTime: createdAt },
  };
}

/** `docker history`, the newest line first. */
export function historyOf({ content, id, names }: ImageDetail): readonly Json[] {
  const entries: readonly ImageEntry[] = content.variants[0]?.history ?? [];
  return entries.toReversed().map((entry) => ({
    Id: entry.id ?? '<missing>',
    Created: seconds(entry.createdAt),
    CreatedBy: entry.createdBy,
    Tags: entry.id === id && names.length > 0 ? names.map(familiar) : null,
    Size: entry.layer?.descriptor.size ?? 0,
    Comment: entry.comment ?? '',
  }));
}
