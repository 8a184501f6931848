import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** What the registry wants of who asks. */
export type RegistryAccess =
  /** name and password: `ci`, `secret` */
  | { readonly kind: 'basic' }
  /** tokens of a service, signed under a certificate */
  | { readonly kind: 'token'; readonly realm: string; readonly certificate: string };

export interface RealRegistryOptions {
  /** a pull-through cache of that registry */
  readonly proxyOf?: string;
  readonly access?: RegistryAccess;
  /** paths of PEM files */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** bcrypt of `secret` */
const HTPASSWD = 'ci:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

function authOf(access: RegistryAccess | undefined, directory: string): unknown {
  if (access === undefined) return undefined;
  if (access.kind === 'basic') return { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } };
  const { realm, certificate } = access;
  return { token: { realm, service: 'registry', issuer: 'test', rootcertbundle: certificate } };
}

/** Debian's docker-registry on a free port of this machine, with its files in a directory of its own. */
export class RealRegistry implements AsyncDisposable {
  private constructor(
    readonly host: string,
    readonly directory: string,
    readonly process: ChildProcess,
  ) {}

  static async start({ proxyOf, access, tls }: RealRegistryOptions = {}): Promise<RealRegistry> {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-registry-'));
    const host = `127.0.0.1:${await freePort()}`;
    const config = {
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
      http: { addr: host, relativeurls: true, ...(tls === undefined ? {} : { tls }) },
      ...(proxyOf === undefined ? {} : { proxy: { remoteurl: proxyOf } }),
      ...(access === undefined ? {} : { auth: authOf(access, directory) }),
    };
    const path = join(directory, 'config.yml');
    await writeFile(path, JSON.stringify(config));
    await writeFile(join(directory, 'htpasswd'), HTPASSWD);
    const child = spawn('/usr/bin/docker-registry', ['serve', path], { stdio: 'ignore' });
    const registry = new RealRegistry(host, directory, child);
    for (let attempt = 0; attempt < 100; attempt++) {
      if (await listens(host)) return registry;
      if (child.exitCode !== null) break;
      await delay(100);
    }
    await registry[Symbol.asyncDispose]();
    throw new Error('docker-registry does not start');
  }

  /** Uploads to a repository that are under way. */
  async uploads(repository: string): Promise<readonly string[]> {
    const at = join(this.directory, 'data/docker/registry/v2/repositories', repository, '_uploads');
    const files = await readdir(at, { recursive: true }).catch(() => []);
    // Of those that are over, it leaves what it hashed.
    return files.filter((name) => name.endsWith('/startedat'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.kill('SIGKILL')) await once(this.process, 'exit');
    await rm(this.directory, { recursive: true, force: true });
  }
}

function listens(host: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${host}`);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
