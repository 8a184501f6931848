import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { systemCode } from '#std';
import { z } from 'zod';
import { usageError } from '../usage.ts';

/** What `--load` puts images into. */
export type LoadTarget =
  | { readonly kind: 'docker'; readonly address: DockerAddress }
  | { readonly kind: 'podman'; readonly command: string };

/** An Engine API: https://docs.docker.com/reference/api/engine/ */
export type DockerAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'url'; readonly url: URL; readonly certificates: string | undefined };

export interface LoadEnvironment {
  readonly dockerHost: string | undefined;
  readonly dockerContext: string | undefined;
  readonly dockerCertPath: string | undefined;
  readonly dockerTls: boolean;
  readonly dockerConfigDir: string;
  readonly path: string;
}

const SOCKET = '/var/run/docker.sock';

/**
 * The Docker that docker's own command line would speak to; where there is none, podman.
 * @throws KilnError INVALID_ARGUMENT when there is neither, or DOCKER_HOST cannot be spoken to
 */
export async function findLoadTarget(environment: LoadEnvironment): Promise<LoadTarget> {
  const host = environment.dockerHost ?? (await hostOfContext(environment));
  if (host !== undefined) return { kind: 'docker', address: parseHost(host, environment) };
  if ((await stat(SOCKET).catch(() => undefined))?.isSocket() === true)
    return { kind: 'docker', address: { kind: 'socket', path: SOCKET } };
  for (const folder of environment.path.split(delimiter)) {
    const command = join(folder, 'podman');
    if (folder !== '' && (await stat(command).catch(() => undefined))?.isFile() === true)
      return { kind: 'podman', command };
  }
  throw usageError(
    '--load: there is neither Docker nor Podman on this machine',
    `start Docker (${SOCKET}), set DOCKER_HOST, or write a file: --output type=docker,dest=image.tar`,
  );
}

function parseHost(host: string, { dockerCertPath, dockerTls, dockerConfigDir }: LoadEnvironment): DockerAddress {
  const socket = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (socket !== undefined) return { kind: 'socket', path: socket };
  const url = URL.parse(host.replace(/^tcp:/, dockerTls ? 'https:' : 'http:'));
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw usageError(
      `--load: cannot speak to Docker at ${host}`,
      'unix:// and tcp:// are known; or --output type=docker,dest=FILE',
    );
  }
  return { kind: 'url', url, certificates: dockerTls ? (dockerCertPath ?? dockerConfigDir) : undefined };
}

const DockerConfig = z.looseObject({ currentContext: z.string().optional() });
const ContextMeta = z.looseObject({
  Endpoints: z.looseObject({ docker: z.looseObject({ Host: z.string().optional() }) }),
});

/** `docker context`: its endpoints are kept by the digests of their names. */
async function hostOfContext({ dockerConfigDir, dockerContext }: LoadEnvironment): Promise<string | undefined> {
  const config = DockerConfig.safeParse(await readJson(join(dockerConfigDir, 'config.json')));
  const name = dockerContext ?? config.data?.currentContext;
  if (name === undefined || name === 'default') return undefined;
  const folder = createHash('sha256').update(name).digest('hex');
  const meta = ContextMeta.safeParse(await readJson(join(dockerConfigDir, 'contexts/meta', folder, 'meta.json')));
  const host = meta.data?.Endpoints.docker.Host;
  if (host === undefined) throw usageError(`--load: docker has no context ${name}`, 'docker context ls lists them');
  return host;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT' || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}
