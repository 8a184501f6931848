import { z } from 'zod';
import { DescriptorSchema } from './descriptor.ts';
import { DigestSchema } from './descriptor.ts';
import { mediaType } from './media-type.ts';
import { PlatformSchema } from './platform.ts';

/** Go writes an absent slice or map as null. */
const nullish = <T extends z.ZodType>(schema: T) =>
  schema
    .nullish()
    .transform((value) => value ?? undefined)
    .optional();

const annotations = z.record(z.string(), z.string());
const extended = DescriptorSchema.extend({
  artifactType: nullish(z.string()),
  annotations: nullish(annotations),
  platform: nullish(PlatformSchema.loose()),
});
/** What other tools list beside images (signatures, digests of other kinds) need not be what we can read. */
const readable = z.array(z.unknown()).transform((entries) =>
  entries.flatMap((entry) => {
    const parsed = extended.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  }),
);

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md, or Docker's schema 2. */
export const ManifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([mediaType.ociManifest, mediaType.dockerManifest]).optional(),
  config: extended,
  layers: z.array(extended),
  annotations: nullish(annotations),
});
export type Manifest = z.infer<typeof ManifestSchema>;

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md, or Docker's manifest list; without unreadable entries. */
export const IndexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([mediaType.ociIndex, mediaType.dockerIndex]).optional(),
  manifests: readable,
  annotations: nullish(annotations),
});
export type Index = z.infer<typeof IndexSchema>;

const strings = z.array(z.string());
const set = z.record(z.string(), z.looseObject({}));

export const HealthcheckSchema = z.object({
  Test: nullish(strings),
  Interval: z.int().optional(),
  Timeout: z.int().optional(),
  StartPeriod: z.int().optional(),
  StartInterval: z.int().optional(),
  Retries: z.int().optional(),
});

/** What a container started from the image gets; Docker's additions to the specification included. */
export const RunConfigSchema = z.object({
  User: z.string().optional(),
  ExposedPorts: nullish(set),
  Env: nullish(strings),
  Entrypoint: nullish(strings),
  Cmd: nullish(strings),
  Volumes: nullish(set),
  WorkingDir: z.string().optional(),
  Labels: nullish(annotations),
  StopSignal: z.string().optional(),
  ArgsEscaped: z.boolean().optional(),
  Healthcheck: nullish(HealthcheckSchema),
  OnBuild: nullish(strings),
  Shell: nullish(strings),
});
export type RunConfig = z.infer<typeof RunConfigSchema>;

export const HistorySchema = z.object({
  created: z.string().optional(),
  created_by: z.string().optional(),
  author: z.string().optional(),
  comment: z.string().optional(),
  empty_layer: z.boolean().optional(),
});
export type History = z.infer<typeof HistorySchema>;

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md */
export const ImageConfigSchema = z.object({
  created: z.string().optional(),
  author: z.string().optional(),
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
  config: nullish(RunConfigSchema),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: nullish(z.array(DigestSchema)) }),
  history: nullish(z.array(HistorySchema)),
});
export type ImageConfig = z.infer<typeof ImageConfigSchema>;
