import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Farm } from '../e2e/farm.ts';

const run = promisify(execFile);
const makeBase = fileURLToPath(new URL('make_base.py', import.meta.url));

/** A farm that has the base images of the cases, for builds that fetch from one file server of this machine. */
export interface CaseFarm extends AsyncDisposable {
  readonly farm: Farm;
  /** where the base images are: `HOST/base/NAME:1`; `docker.io` is mirrored from there too */
  readonly registry: string;
  /** host and port that a file server may take */
  readonly files: string;
}

export async function startCaseFarm(): Promise<CaseFarm> {
  await using stack = new AsyncDisposableStack();
  const farm = stack.use(await Farm.start());
  const registry = farm.registry.host;
  const files = `127.0.0.1:${await freePort()}`;
  await run('python3', [makeBase, '--registry', registry]);
  await farm.stopBuilder('one', 'SIGKILL');
  await farm.startBuilder('cases', {
    KILN_EGRESS_ALLOW: `${registry},${files}`,
    KILN_REGISTRY_MIRRORS: `docker.io=http://${registry}`,
  });
  const held = stack.move();
  return { farm, registry, files, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
