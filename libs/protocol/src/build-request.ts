import { parseReference } from '#oci';
import { messageOf } from '#std';
import { z } from 'zod';

const name = z.string().min(1).max(255);

/** As `parseReference` takes it. */
const reference = z
  .string()
  .min(1)
  .max(512)
  .superRefine((text, context) => {
    try {
      parseReference(text);
    } catch (thrown) {
      context.addIssue({ code: 'custom', message: messageOf(thrown) });
    }
  });

/** Where the result goes besides the cache. */
export const OutputRequest = z.discriminatedUnion('type', [
  /** pushed to the registries of the tags when `push` is set; else kept as blobs */
  z.strictObject({ type: z.literal('image'), push: z.boolean().default(false) }),
  /** an OCI image layout in a tar, to be fetched from /outputs/:n */
  z.strictObject({ type: z.literal('oci') }),
]);
export type OutputRequest = z.infer<typeof OutputRequest>;

export const RegistryCredentials = z.union([
  z.strictObject({ username: z.string(), password: z.string() }),
  z.strictObject({ identityToken: z.string() }),
]);
export type RegistryCredentials = z.infer<typeof RegistryCredentials>;

/** What a client asks for; the context comes beside it. */
export const BuildRequest = z.strictObject({
  /** path inside the context */
  dockerfile: z.string().min(1).max(4096).default('Dockerfile'),
  /** the Dockerfile's text where it lies outside of the context (`-f -`, `-f ../x`) */
  dockerfileText: z.string().max(4_194_304).optional(),
  target: name.optional(),
  buildArgs: z.record(name, z.string().max(131_072)).default({}),
  labels: z.record(name, z.string().max(131_072)).default({}),
  tags: z.array(reference).max(64).default([]),
  /** one platform, such as linux/amd64; the builder's own when absent */
  platform: z.string().max(64).optional(),
  noCache: z.boolean().default(false),
  noCacheFilter: z.array(name).max(256).default([]),
  /** ask the registries anew what tags stand for */
  pull: z.boolean().default(false),
  network: z.enum(['default', 'none']).default('default'),
  outputs: z.array(OutputRequest).max(8).default([]),
  /** by registry host; sealed on arrival, never stored or shown in clear */
  credentials: z.record(name, RegistryCredentials).default({}),
});
export type BuildRequest = z.infer<typeof BuildRequest>;
export type BuildRequestInput = z.input<typeof BuildRequest>;

/** A request as stored and shown: without credentials. */
export const StoredRequest = BuildRequest.omit({ credentials: true });
export type StoredRequest = z.infer<typeof StoredRequest>;
