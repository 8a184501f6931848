import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
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

/** Debian's docker-registry on a free port of this machine, with its files in a directory of its own. */
export class RealRegistry implements AsyncDisposable {
  private constructor(
    readonly host: string,
    readonly directory: string,
    readonly process: ChildProcess,
  ) {}

  /** `proxyOf`: a pull-through cache of that registry. */
  static async start(options: { readonly proxyOf?: string } = {}): Promise<RealRegistry> {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-registry-'));
    const host = `127.0.0.1:${await freePort()}`;
    const config = {
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
      http: { addr: host, relativeurls: true },
      ...(options.proxyOf === undefined ? {} : { proxy: { remoteurl: options.proxyOf } }),
    };
    const path = join(directory, 'config.yml');
    await writeFile(path, JSON.stringify(config));
    const child = spawn('/usr/bin/docker-registry', ['serve', path], { stdio: 'ignore' });
    const registry = new RealRegistry(host, directory, child);
    for (let attempt = 0; attempt < 100; attempt++) {
      const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
      if (answer?.ok === true) return registry;
      if (child.exitCode !== null) break;
      await delay(100);
    }
    await registry[Symbol.asyncDispose]();
    throw new Error('docker-registry does not start');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.kill('SIGKILL')) await once(this.process, 'exit');
    await rm(this.directory, { recursive: true, force: true });
  }
}
