import { DescriptorSchema, DigestSchema, PlatformSchema } from '#oci';
import { z } from 'zod';
import { BuildRequest, RegistryCredentials } from './build-request.ts';
import { ContainerRun } from './container-run.ts';
import { ImageName } from './named-context.ts';

/** An entry of an image's history, with the layer that it made. */
export const ImageEntry = z.object({
  createdBy: z.string(),
  createdAt: z.string().optional(),
  comment: z.string().optional(),
  /** of the image up to here: the digest of its config; absent for what a base brought */
  id: DigestSchema.optional(),
  /** absent for what changed the config alone */
  layer: z
    .object({
      descriptor: DescriptorSchema,
      diffId: DigestSchema,
      /** the list of what it changes, where the farm has made one */
      delta: DescriptorSchema.optional(),
    })
    .optional(),
});
export type ImageEntry = z.infer<typeof ImageEntry>;

/** One platform of an image. */
export const ImageVariant = z.object({
  platform: PlatformSchema,
  /** of the manifest */
  digest: DigestSchema,
  /** of the config: what `docker images` calls its id */
  id: DigestSchema,
  /** the repository of the image that it begins with, and how many layers are that one's */
  base: z.object({ repository: z.string(), layers: z.int() }).optional(),
  /** of config and layers, as registries hold them */
  sizeBytes: z.int(),
  /** the oldest first */
  history: z.array(ImageEntry),
  /** what is told of it: statements of in-toto, GET /v1/images/:image/attestations/:digest */
  attestations: z.array(z.object({ predicateType: z.string(), descriptor: DescriptorSchema })).optional(),
});
export type ImageVariant = z.infer<typeof ImageVariant>;

/** What a build made. */
export const ImageContent = z.object({
  /** of the manifest; of several platforms of the index */
  descriptor: DescriptorSchema,
  /** one for each platform, in the index's order */
  variants: z.array(ImageVariant).min(1),
  /** when it was made: a cached build gives the image of the first one */
  createdAt: z.string(),
});
export type ImageContent = z.infer<typeof ImageContent>;

/** An image of a project. */
export const ImageView = z.object({
  digest: DigestSchema,
  id: DigestSchema,
  /** full ones, such as docker.io/acme/app:1; none of what another image has taken the name of */
  names: z.array(z.string()),
  /** where it was pushed to, without tags */
  repositories: z.array(z.string()),
  /** all its blobs are kept: it can be pushed from here */
  kept: z.boolean(),
  platforms: z.array(z.string()),
  sizeBytes: z.int(),
  createdAt: z.string(),
  /** that made it, or gave it again */
  buildId: z.string(),
  scope: z.string(),
  /** with `all`: the images that it was on its way, the newest first, as far as they are known */
  intermediates: z
    .array(z.object({ id: DigestSchema, createdAt: z.string(), createdBy: z.string(), sizeBytes: z.int() }))
    .optional(),
});
export type ImageView = z.infer<typeof ImageView>;

/** GET /v1/images */
export const ImageList = z.object({ images: z.array(ImageView), next: z.string().nullable() });
export type ImageList = z.infer<typeof ImageList>;

/** GET /v1/images/:image */
export const ImageDetail = ImageView.extend({ content: ImageContent });
export type ImageDetail = z.infer<typeof ImageDetail>;

/** GET /v1/images/:image/layers: of the first platform, from the first layer. */
export const ImageLayers = z.object({
  layers: z.array(
    z.object({
      digest: DigestSchema,
      diffId: DigestSchema,
      createdBy: z.string(),
      /** as registries hold it */
      sizeBytes: z.int(),
      /** as it lies on a disk; null where nobody has looked into the layer, or it has too many files */
      unpacked: z
        .object({
          files: z.int(),
          sizeBytes: z.int(),
          /** of files that a later layer removes or replaces; 0 where not all layers are known */
          wastedBytes: z.int(),
          largest: z.array(z.object({ path: z.string(), sizeBytes: z.int() })),
        })
        .nullable(),
    }),
  ),
});
export type ImageLayers = z.infer<typeof ImageLayers>;

/** GET /v1/images/:image/changes: what an image has that another one has not, and the other way round. */
export const ImageChanges = z.object({
  counts: z.object({ added: z.int(), removed: z.int(), changed: z.int() }),
  /** how much larger the files are */
  grownBytes: z.int(),
  /** at most 1,000, those that change most bytes first */
  changes: z.array(
    z.object({
      path: z.string(),
      change: z.enum(['added', 'removed', 'changed']),
      /** bytes of a file */
      before: z.int().nullable(),
      after: z.int().nullable(),
    }),
  ),
});
export type ImageChanges = z.infer<typeof ImageChanges>;

/** POST /v1/images/:image/tag */
export const TagRequest = z.strictObject({ name: ImageName });
export type TagRequest = z.infer<typeof TagRequest>;

/** POST /v1/images/:image/push */
export const PushRequest = z.strictObject({
  /** its own names where none is said */
  names: z.array(ImageName).max(64).default([]),
  /** by registry host; sealed on arrival, never stored or shown in clear */
  credentials: z.record(z.string().min(1).max(255), RegistryCredentials).default({}),
});
export type PushRequest = z.infer<typeof PushRequest>;
export type PushRequestInput = z.input<typeof PushRequest>;

const { platforms, network, addHosts, ulimits, shmSizeBytes, memoryBytes, cpus, allow, secrets } = BuildRequest.shape;

/** POST /v1/images/:image/run */
export const RunRequest = z.strictObject({
  ...ContainerRun.shape,
  /** of an image of several platforms; the farm's own when it is not said */
  platform: platforms.unwrap().element.optional(),
  /** `missing`: a registry is asked where the project has no such image; `always`: in any case; `never`: not at all */
  pull: z.enum(['missing', 'always', 'never']).default('missing'),
  ...{ network, allow, addHosts, ulimits, shmSizeBytes, memoryBytes, cpus },
  /** by id, in base64: files in /run/secrets; sealed on arrival, never stored or shown in clear */
  secrets,
  /** by registry host; sealed on arrival, never stored or shown in clear */
  credentials: PushRequest.shape.credentials,
});
export type RunRequest = z.infer<typeof RunRequest>;
export type RunRequestInput = z.input<typeof RunRequest>;

/** DELETE /v1/images/:image */
export const RemovedImage = z.object({
  /** names that are gone */
  untagged: z.array(z.string()),
  /** the image itself, where it had no other name */
  deleted: z.array(DigestSchema),
});
export type RemovedImage = z.infer<typeof RemovedImage>;
