import { createReadStream } from 'node:fs';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assembleImage, pushImage } from '#exporter';
import { parseReference } from '#oci';
import { RegistryClient } from '#registry';
import { KilnError, silentLogger, systemClock, systemCode } from '#std';
import { makeBusybox, makeDebian, makeNode, RECIPE_VERSION, type StandIn } from './recipes.ts';

/** Starts a registry over a storage directory, for as long as it is not disposed of. */
export type ServeRegistry = (
  storage: string,
  signal: AbortSignal,
) => Promise<AsyncDisposable & { readonly host: string }>;

export interface StandInOptions {
  /** of this user, shared by all embedded farms */
  readonly cacheDir: string;
  readonly serve: ServeRegistry;
  readonly signal: AbortSignal;
  readonly report: (message: string) => void;
}

const CREATED_AT = '2025-01-01T00:00:00Z';
const LABELS = {
  'dev.kiln.stand-in': 'true',
  'org.opencontainers.image.description':
    'Stand-in made by an embedded Kiln farm, used where the real registry cannot be reached',
};

/**
 * The storage of a registry with stand-ins for common base images: made once for each user, whole or not at all.
 * @returns the directory; only to be read, several registries may serve it
 * @throws KilnError UPSTREAM_UNAVAILABLE when packages cannot be fetched
 */
export async function ensureStandIns(options: StandInOptions): Promise<string> {
  const { cacheDir, serve, signal, report } = options;
  const done = join(cacheDir, `v${RECIPE_VERSION}-${process.arch}`);
  if (await exists(done)) return done;
  await mkdir(cacheDir, { recursive: true });
  const dir = await mkdtemp(join(cacheDir, 'making-'));
  try {
    const storage = join(dir, 'storage');
    await mkdir(storage);
    const images = await make(dir, { signal, report });
    report('base images: storing');
    {
      await using registry = await serve(storage, signal);
      for (const image of images) await push(registry.host, image, signal);
    }
    await rename(storage, done).catch((thrown: unknown) => {
      // Another farm was quicker; what it made is the same.
      if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(thrown) ?? '')) throw thrown;
    });
    return done;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function make(
  dir: string,
  { signal, report }: Pick<StandInOptions, 'signal' | 'report'>,
): Promise<readonly StandIn[]> {
  report('base images: busybox (1 of 3)');
  const busybox = await makeBusybox({ dir, signal });
  report('base images: Debian 12 (2 of 3), some 20 s');
  const debian = await makeDebian({ dir, signal });
  report('base images: Node 20 (3 of 3)');
  const node = await makeNode({ dir, signal }, debian);
  return [busybox, debian, node];
}

async function push(host: string, { name, config, layers }: StandIn, signal: AbortSignal): Promise<void> {
  const image = assembleImage({
    platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch },
    config: { ...config, Labels: LABELS },
    history: layers.map(() => ({ createdBy: `stand-in for ${name}`, emptyLayer: false })),
    layers: layers.map(({ layer }) => layer),
    createdAt: CREATED_AT,
    annotations: LABELS,
  });
  const paths = new Map(layers.map(({ layer, path }) => [layer.descriptor.digest, path]));
  await using client = new RegistryClient({
    clock: systemClock,
    credentials: () => Promise.resolve(null),
    mirrors: [],
    plainHttp: [],
    logger: silentLogger,
    egress: { allow: [host] },
  });
  await pushImage({
    client,
    image,
    reference: parseReference(`${host}/${name}`),
    openLayer: ({ digest }) => {
      const path = paths.get(digest);
      if (path === undefined) throw new KilnError('INTERNAL', `no file of layer ${digest}`);
      return createReadStream(path);
    },
    report: () => undefined,
    beforeTag: () => Promise.resolve(),
    signal,
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}
