import { DigestSchema, parseKnownPlatform } from '#oci';
import { messageOf } from '#std';
import { z } from 'zod';
import { Attestations } from './attestations.ts';
import { BuildSource } from './build-source.ts';
import { ContainerRun } from './container-run.ts';
import { LinkedBuild } from './linked-build.ts';
import { ImageName, NamedContext } from './named-context.ts';
import { Ulimit } from './ulimit.ts';

const MAX_CONTEXTS = 64;

const name = z.string().min(1).max(255);

/** As `parsePlatform` takes it. */
const platform = z
  .string()
  .max(64)
  .superRefine((text, context) => {
    try {
      parseKnownPlatform(text);
    } catch (thrown) {
      context.addIssue({ code: 'custom', message: messageOf(thrown) });
    }
  });

/** How layers that a build made go into an output; what a base brought stays as it is unless `force` is set. */
const compression = {
  compression: z.enum(['gzip', 'zstd', 'uncompressed']).optional(),
  compressionLevel: z.int().min(0).max(22).optional(),
  /** base layers too */
  forceCompression: z.boolean().optional(),
};

/** What all outputs of an image have. */
const imageOptions = {
  ...compression,
  /** mtimes later than SOURCE_DATE_EPOCH become that, in every layer that the build made */
  rewriteTimestamp: z.boolean().optional(),
  /** of this output alone, besides the build's annotations; keys as in {@link BuildRequest} */
  annotations: z.record(z.string().min(1).max(512), z.string().max(65_536)).optional(),
  /** OCI's media types (the default), or Docker's older names for the same */
  ociMediaTypes: z.boolean().optional(),
  /** attestations as OCI artifacts that refer to their image (the default), or as manifests of an older kind */
  ociArtifact: z.boolean().optional(),
  /** of this output alone, besides the build's tags */
  names: z.array(ImageName).max(64).optional(),
};

/** What outputs of files have. */
const fileOptions = {
  /** each platform's files below a directory of its own */
  platformSplit: z.boolean().optional(),
  /** before the names of the files that attest */
  attestationPrefix: z
    .string()
    .max(128)
    .regex(/^[^/\p{C}]*$/u, 'a prefix of a file name')
    .optional(),
};

/** Where the result goes besides the cache. */
export const OutputRequest = z.discriminatedUnion('type', [
  /** pushed to the registries of the tags when `push` is set (`pushByDigest`: under no tag); else kept as blobs */
  z.strictObject({
    type: z.literal('image'),
    push: z.boolean().default(false),
    pushByDigest: z.boolean().optional(),
    ...imageOptions,
  }),
  /** an OCI image layout in a tar, to be fetched from /outputs/:n */
  z.strictObject({ type: z.literal('oci'), ...imageOptions }),
  /** what `docker load` takes, in a tar; one platform */
  z.strictObject({ type: z.literal('docker'), ...imageOptions }),
  /** the files of the result, in a tar; of several platforms below a directory each */
  z.strictObject({ type: z.literal('tar'), ...fileOptions }),
  /** the same, for a client that unpacks it into a directory */
  z.strictObject({ type: z.literal('local'), ...fileOptions }),
]);
export type OutputRequest = z.infer<typeof OutputRequest>;

/** A cache that another farm wrote, or an image with a cache in it. */
export const CacheSource = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('registry'), ref: ImageName }),
  /** in the OCI layout that comes as this context: the digest of the cache's manifest */
  z.strictObject({ type: z.literal('local'), context: name, digest: DigestSchema }),
]);
export type CacheSource = z.infer<typeof CacheSource>;

const cacheOptions = {
  /** the steps that the image's layers come from, or all of all stages */
  mode: z.enum(['min', 'max']).default('min'),
  ...compression,
  /** an image manifest (the default), or an index of blobs */
  imageManifest: z.boolean().optional(),
  ociMediaTypes: z.boolean().optional(),
  /** a failure to write it is a warning */
  ignoreError: z.boolean().default(false),
};

/** Where the build's steps go for others, in BuildKit's format: the farm's own cache needs none of it. */
export const CacheTarget = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('registry'), ref: ImageName, ...cacheOptions }),
  /** in the images of this build */
  z.strictObject({ type: z.literal('inline') }),
  /** an OCI layout in a tar, to be fetched from /outputs/:n after the outputs that are files */
  z.strictObject({ type: z.literal('local'), tag: z.string().min(1).max(128).default('latest'), ...cacheOptions }),
]);
export type CacheTarget = z.infer<typeof CacheTarget>;

export const RegistryCredentials = z.union([
  z.strictObject({ username: z.string(), password: z.string() }),
  z.strictObject({ identityToken: z.string() }),
]);
export type RegistryCredentials = z.infer<typeof RegistryCredentials>;

/** What RUN may ask for beyond the sandbox. */
export const Entitlement = z.enum(['network.host', 'security.insecure']);
export type Entitlement = z.infer<typeof Entitlement>;

/** The most urgent last. */
export const Priority = z.enum(['low', 'normal', 'high']);
export type Priority = z.infer<typeof Priority>;

/** What a client asks for; the context comes beside it. */
export const BuildRequest = z.strictObject({
  /**
   * what is wanted: an image, only what the Dockerfile says of itself, an earlier build's image in other places, or a container
   * that runs once
   */
  call: z.enum(['build', 'check', 'outline', 'targets', 'push', 'run']).default('build'),
  /** of the calls `push` and `run`: the digest of an image that the project has */
  image: DigestSchema.optional(),
  /** of the call `run`: the image as it was called; what a registry has by that name where `image` says none */
  reference: z.string().min(1).max(512).optional(),
  /** of the call `run` */
  run: ContainerRun.optional(),
  /** path inside the context */
  dockerfile: z.string().min(1).max(4096).default('Dockerfile'),
  /** the Dockerfile's text where it lies outside of the context (`-f -`, `-f ../x`) */
  dockerfileText: z.string().max(4_194_304).optional(),
  /**
   * By name, in lower case: what FROM and --from take instead of a stage or an image of that name. `context` is the main
   * context itself, for builds of a git repository or a URL; no part `context` has to come then.
   */
  contexts: z
    .record(name, NamedContext)
    .refine((all) => Object.keys(all).length <= MAX_CONTEXTS, { error: `at most ${MAX_CONTEXTS} contexts` })
    .default({}),
  /** builds whose results are contexts of this one: by name, for contexts of the type `build` */
  builds: z
    .record(name, LinkedBuild)
    .refine((all) => Object.keys(all).length <= MAX_CONTEXTS, { error: `at most ${MAX_CONTEXTS} builds` })
    .default({}),
  /** what it is of: branch, commit, author */
  source: BuildSource.default({}),
  /** among the queued builds of its own project; other projects' turns stay theirs */
  priority: Priority.default('normal'),
  /**
   * cancels what the project still builds of other commits of the branch: builds in this scope, of this repository, branch and
   * pull request, with the same Dockerfile, target, platforms and images. Needs `source.branch` and `source.commit`
   */
  supersede: z.boolean().default(false),
  target: name.optional(),
  buildArgs: z.record(name, z.string().max(131_072)).default({}),
  labels: z.record(name, z.string().max(131_072)).default({}),
  /** by `[manifest|index|manifest-descriptor|index-descriptor[platform]:]key`, as docker buildx has it */
  annotations: z.record(z.string().min(1).max(512), z.string().max(65_536)).default({}),
  tags: z.array(ImageName).max(64).default([]),
  /** such as linux/amd64; several make an index. The builder's own when empty */
  platforms: z.array(platform).max(32).default([]),
  noCache: z.boolean().default(false),
  noCacheFilter: z.array(name).max(256).default([]),
  /** ask the registries anew what tags stand for */
  pull: z.boolean().default(false),
  network: z.enum(['default', 'none', 'host']).default('default'),
  /** entitlements that the client gives: what RUN may ask for beyond the sandbox */
  allow: z.array(Entitlement).max(8).default([]),
  /** `name` to address, for /etc/hosts of every RUN */
  addHosts: z
    .array(z.strictObject({ name, address: z.string().min(1).max(64) }))
    .max(256)
    .default([]),
  ulimits: z.array(Ulimit).max(32).default([]),
  shmSizeBytes: z.int().nonnegative().optional(),
  /** of every RUN; never above the farm's own limits */
  memoryBytes: z.int().positive().optional(),
  cpus: z.number().min(0.01).optional(),
  /** what RUN --mount=type=ssh may ask the client's agents for: ids */
  ssh: z.array(name).max(32).default([]),
  /** ids of the secrets that came with the request; filled in on arrival */
  secretIds: z.array(name).max(256).default([]),
  /** hosts whose credentials came with the request; filled in on arrival */
  credentialHosts: z.array(name).max(256).default([]),
  /** ids of the secrets whose values count in the keys of the steps that see them */
  keyedSecrets: z.array(name).max(256).default([]),
  outputs: z.array(OutputRequest).max(8).default([]),
  /** what is told of the images beside them; nothing by default */
  attestations: Attestations.default({}),
  /** whose results may stand for steps besides the farm's own */
  cacheFrom: z.array(CacheSource).max(32).default([]),
  cacheTo: z.array(CacheTarget).max(8).default([]),
  /** by registry host; sealed on arrival, never stored or shown in clear */
  credentials: z.record(name, RegistryCredentials).default({}),
  /** by id, in base64, at most 500 KiB each; sealed on arrival, never stored or shown in clear */
  secrets: z.record(name, z.base64().max(700_000)).default({}),
});
export type BuildRequest = z.infer<typeof BuildRequest>;
export type BuildRequestInput = z.input<typeof BuildRequest>;

/** POST /v1/builds/:id/retry: what is gone once a build has ended. */
export const RetryRequest = BuildRequest.pick({ credentials: true, secrets: true });
export type RetryRequest = z.infer<typeof RetryRequest>;
export type RetryRequestInput = z.input<typeof RetryRequest>;

/** A request as stored and shown: without credentials and secrets. */
export const StoredRequest = BuildRequest.omit({ credentials: true, secrets: true });
export type StoredRequest = z.infer<typeof StoredRequest>;

/** What of a request is kept sealed until the build ends. */
export const SealedParts = BuildRequest.pick({ credentials: true, secrets: true });
export type SealedParts = z.infer<typeof SealedParts>;
