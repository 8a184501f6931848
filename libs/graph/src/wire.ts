import { DigestSchema, formatPlatform, parsePlatform } from '#oci';
import { type Json, KilnError } from '#std';
import { z } from 'zod';
import type { Op } from './op.ts';
import { type Definition, DefinitionBuilder, type Edge } from './vertex.ts';

const owner = { uid: z.int(), gid: z.int() };
const pair = z.strictObject({ name: z.string(), text: z.string() });

const Mount = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('bind'),
    target: z.string(),
    input: z.int(),
    source: z.string(),
    readonly: z.boolean(),
  }),
  z.strictObject({
    type: z.literal('cache'),
    target: z.string(),
    id: z.string(),
    sharing: z.enum(['shared', 'private', 'locked']),
    input: z.int().optional(),
    source: z.string(),
    mode: z.int().optional(),
    uid: z.int().optional(),
    gid: z.int().optional(),
    readonly: z.boolean(),
  }),
  z.strictObject({
    type: z.literal('tmpfs'),
    target: z.string(),
    sizeBytes: z.number().optional(),
    readonly: z.literal(true).optional(),
  }),
  z.strictObject({
    type: z.literal('secret'),
    id: z.string(),
    target: z.string().optional(),
    env: z.string().optional(),
    keyed: DigestSchema.optional(),
    required: z.boolean(),
    mode: z.int(),
    ...owner,
  }),
  z.strictObject({
    type: z.literal('ssh'),
    id: z.string(),
    target: z.string(),
    required: z.boolean(),
    mode: z.int(),
    ...owner,
  }),
]);

const Limits = z.strictObject({
  memoryBytes: z.number().optional(),
  cpuMillis: z.number().optional(),
  shmSizeBytes: z.number().optional(),
  ulimits: z.array(z.strictObject({ name: z.string(), soft: z.number(), hard: z.number() })).optional(),
});

const OpSchema: z.ZodType<Op> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('image'), reference: z.string(), digest: DigestSchema }),
  z.strictObject({ kind: z.literal('scratch') }),
  z.strictObject({ kind: z.literal('local'), name: z.string() }),
  z.strictObject({ kind: z.literal('http'), url: z.string(), digest: DigestSchema, name: z.string() }),
  z.strictObject({
    kind: z.literal('git'),
    remote: z.string(),
    ref: z.string(),
    commit: z.string(),
    subdir: z.string(),
    keepGitDir: z.boolean(),
    submodules: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('exec'),
    args: z.array(z.string()),
    env: z.array(z.string()),
    cwd: z.string(),
    user: z.string(),
    network: z.enum(['default', 'none', 'host']),
    security: z.literal('insecure').optional(),
    mounts: z.array(Mount).optional(),
    devices: z.array(z.strictObject({ name: z.string(), required: z.boolean() })).optional(),
    extraHosts: z.array(z.strictObject({ name: z.string(), address: z.string() })).optional(),
    limits: Limits.optional(),
    proxyEnv: z.array(z.string()).optional(),
    files: z.array(pair).optional(),
  }),
  z.strictObject({
    kind: z.literal('copy'),
    from: z.array(
      z.strictObject({ input: z.int(), patterns: z.array(z.string()), unpack: z.literal(true).optional() }),
    ),
    dest: z.string(),
    chown: z.string().optional(),
    chmod: z.union([z.number(), z.string()]).optional(),
    parents: z.literal(true).optional(),
    excludes: z.array(z.string()).optional(),
    inline: z.array(pair).optional(),
  }),
  z.strictObject({ kind: z.literal('mkdir'), path: z.string(), mode: z.int(), chown: z.string().optional() }),
  z.strictObject({ kind: z.literal('merge') }),
]);

const EdgeSchema = z.strictObject({ vertex: DigestSchema, output: z.int() });

const Wire = z.strictObject({
  /** inputs come before what uses them */
  vertices: z.array(
    z.strictObject({
      digest: DigestSchema,
      op: OpSchema,
      platform: z.string().transform((text) => parsePlatform(text)),
      inputs: z.array(EdgeSchema),
      label: z.strictObject({
        name: z.string(),
        stage: z.string(),
        line: z.int(),
        ignoreCache: z.boolean(),
        ttlMs: z.int().positive().optional(),
        ignoredBy: z.literal('--no-cache-filter').optional(),
        args: z.array(z.string()).optional(),
        aside: z.literal(true).optional(),
      }),
    }),
  ),
  roots: z.array(EdgeSchema).min(1),
});

/** A definition for another process: JSON that {@link decodeDefinition} reads. */
export function encodeDefinition({ vertices, roots }: Definition): Json {
  const edges = (list: readonly Edge[]): Json => list.map(({ vertex, output }) => ({ vertex, output }));
  const written = [...vertices.values()].map(({ digest, op, platform, inputs, label }): unknown => ({
    digest,
    op,
    platform: formatPlatform(platform),
    inputs: edges(inputs),
    label,
  }));
  return z.json().parse(JSON.parse(JSON.stringify({ vertices: written, roots: edges(roots) })));
}

/** @throws KilnError INVALID_ARGUMENT when it is none, or when a vertex is not what its digest says */
export function decodeDefinition(value: unknown): Definition {
  const parsed = Wire.safeParse(value);
  if (!parsed.success) throw new KilnError('INVALID_ARGUMENT', `not a definition: ${parsed.error.message}`);
  const builder = new DefinitionBuilder();
  for (const { digest, op, platform, inputs, label } of parsed.data.vertices) {
    const { vertex } = builder.add(op, platform, inputs, label);
    if (vertex !== digest) throw new KilnError('INVALID_ARGUMENT', `the vertex ${digest} is another one: ${vertex}`);
  }
  return builder.finish(...parsed.data.roots);
}
