import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { z } from 'zod';
import { parseStoreLocation } from '#content';
import { parsePlatform } from '#oci';
import { parseListening } from '#metrics';
import { Entitlement } from '#protocol';
import { type Mirror, parseAuthorityFile } from '#registry';
import { commaList, KilnError } from '#std';

const list = z.string().default('').transform(commaList);

const MIB = 1024 * 1024;

/** `host=url` for a mirror, `host=stand-in:url` for one that answers only when the host cannot be reached; `*` for any host. */
function parseMirror(text: string): Mirror {
  const match = /^([^=]+)=(stand-in:)?(https?:\/\/.+)$/.exec(text);
  if (match?.[1] === undefined || match[3] === undefined) {
    throw new KilnError('INVALID_ARGUMENT', `not a mirror: ${JSON.stringify(text)}`, {
      field: 'KILN_REGISTRY_MIRRORS',
      hint: 'write host=https://mirror.example.com, several separated by commas',
    });
  }
  return { for: match[1], url: match[3], mode: match[2] === undefined ? 'mirror' : 'stand-in' };
}

/** The builder's environment; README and .env.example say what each is for. */
export const BuilderEnv = z.object({
  KILN_DATABASE_URL: z.url(),
  KILN_DATABASE_CONNECTIONS: z.coerce.number().int().min(2).max(200).default(10),
  KILN_REDIS_URL: z.url(),
  /** where blobs are: an absolute folder, or s3://bucket/prefix?region=…&endpoint=…&pathStyle=true */
  KILN_OBJECT_STORE: z.string().min(1).transform(parseStoreLocation),
  KILN_SECRET_KEY: z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
  KILN_BUILDER_ID: z.string().regex(/^[a-z0-9-]{1,24}$/),
  KILN_BUILDER_DIR: z.string().startsWith('/'),
  /** builds that run at a time */
  KILN_BUILDER_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(4),
  /** how long running builds may go on after SIGTERM, before they go to other builders */
  KILN_BUILDER_DRAIN_SECONDS: z.coerce.number().min(0).max(86_400).default(30),
  /** steps of one build that run at a time */
  KILN_BUILD_PARALLELISM: z.coerce.number().int().min(1).max(64).default(4),
  /** platforms that steps run for as they are, the builder's own first; what the processor says when empty */
  KILN_BUILDER_PLATFORMS: list.transform((items) => items.map(parsePlatform)),
  /** other platforms by QEMU, where it is installed */
  KILN_EMULATION: z.enum(['auto', 'off']).default('auto'),
  /** where figures are served; nowhere when not set */
  KILN_METRICS_LISTEN: z.string().transform(parseListening).optional(),
  /** of who may read them */
  KILN_METRICS_TOKEN: z
    .string()
    .regex(/^\S{16,512}$/)
    .optional(),
  /** parent of the steps' control groups */
  KILN_CGROUP_PARENT: z.string().startsWith('/').default('/kiln'),
  KILN_REGISTRY_MIRRORS: list.transform((items) => items.map(parseMirror)),
  /** hosts of registries that speak plain HTTP, besides loopback */
  KILN_PLAIN_HTTP: list,
  KILN_EGRESS_ALLOW: list,
  /** certificates of the authorities that single registries are trusted by, PEM */
  KILN_REGISTRY_CA: list.transform((items) => items.map(parseAuthorityFile)),
  KILN_CA_BUNDLE: z.string().startsWith('/').optional(),
  /** keys of hosts that builds fetch git repositories from by ssh, in the format of known_hosts */
  KILN_SSH_KNOWN_HOSTS: z.string().startsWith('/').optional(),
  /** of a file that ADD fetches, and of a git repository's files */
  KILN_FETCH_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(8 * 1024 ** 3),
  KILN_TAG_TTL_SECONDS: z.coerce.number().int().min(0).default(600),
  KILN_STEP_MEMORY_MIB: z.coerce
    .number()
    .int()
    .min(16)
    .default(Math.max(512, Math.floor((totalmem() * 0.75) / MIB))),
  KILN_STEP_PIDS: z.coerce.number().int().min(16).default(8192),
  KILN_STEP_CPUS: z.coerce.number().min(0.1).optional(),
  /** what steps may be given beyond the sandbox, when the client gives it too */
  KILN_ENTITLEMENTS: list.pipe(z.array(Entitlement)),
  /** of all directories of RUN --mount=type=cache together */
  KILN_CACHE_MOUNTS_MIB: z.coerce.number().int().min(0).default(20_480),
  /** of all layers and steps that are unpacked on this node; a fifth of the disk when not set */
  KILN_BUILDER_DISK_MIB: z.coerce.number().int().min(0).optional(),
  /** one such directory with more than this stays on its builder; 0: all do */
  KILN_CACHE_MOUNT_PUBLISH_MIB: z.coerce.number().int().min(0).default(4096),
  KILN_RUNTIME: z.string().min(1).default('runc'),
  KILN_SLIRP4NETNS: z.string().min(1).default('slirp4netns'),
  KILN_SECCOMP_PROFILE: z.string().startsWith('/').default('/usr/share/containers/seccomp.json'),
});
export type BuilderConfig = z.infer<typeof BuilderEnv>;

/** @throws KilnError INVALID_ARGUMENT naming every variable that is wrong */
export function readConfig(env: Readonly<Record<string, string | undefined>>): BuilderConfig {
  const given = Object.fromEntries(
    Object.keys(BuilderEnv.shape).flatMap((key) =>
      env[key] === undefined || env[key] === '' ? [] : [[key, env[key]]],
    ),
  );
  const parsed = BuilderEnv.safeParse(given);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new KilnError('INVALID_ARGUMENT', `the environment is not as it should be: ${wrong}`, {
    hint: '.env.example lists all settings',
  });
}

/** The resolv.conf of the node, which steps get; on nodes with a local stub resolver its upstream file. */
export function resolvConfPath(): string {
  const stub = '/run/systemd/resolve/resolv.conf';
  const own = '/etc/resolv.conf';
  return readFileSync(own, 'utf8').includes('127.0.0.53') ? stub : own;
}
