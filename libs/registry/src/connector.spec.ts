import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { addSampleImage, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostLookup } from './connector.ts';

const { platform } = sampleImage;
const here: HostLookup = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);

let fixture: RegistryFixture;
let silent: Server;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
  silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
});
afterEach(async () => {
  silent.close();
  await fixture[Symbol.asyncDispose]();
});

/** How `registry:port/app` fails, and after how long. */
async function failing(registry: string, lookup: HostLookup, connectTimeoutMs = 200) {
  const mirrors = [{ for: '*', url: fixture.other.url, mode: 'stand-in' } as const];
  const client = fixture.client({ lookup, connectTimeoutMs, mirrors });
  const before = performance.now();
  const thrown = await client.resolve({ registry, repository: 'app', tag: '1' }, platform).catch((e: unknown) => e);
  return { thrown, tookMs: performance.now() - before };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return address.port;
}

describe('a connection', () => {
  it('is given up when the name takes too long to resolve', async () => {
    const { thrown, tookMs } = await failing('registry.test', () => new Promise(() => {}));
    expect(thrown).toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(tookMs).toBeLessThan(900);
  });

  it('is given up when nobody answers to TLS', async () => {
    const { thrown, tookMs } = await failing(`registry.test:${portOf(silent)}`, here);
    expect(thrown).toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(tookMs).toBeLessThan(900);
  });

  it('fails, and is not unreachable, where somebody answers without TLS', async () => {
    const { thrown } = await failing(`registry.test:${fixture.server.port}`, here);
    expect(thrown).toMatchObject({ code: 'REGISTRY_FAILED', hint: expect.stringContaining('plain HTTP') as string });
  });

  it('goes to the allowed ones of the addresses of a name', async () => {
    addSampleImage(fixture.server);
    const lookup: HostLookup = () =>
      Promise.resolve([
        { address: '169.254.169.254', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const client = fixture.client({ lookup, plainHttp: ['registry.test'] });
    const registry = `registry.test:${fixture.server.port}`;
    await client.resolve({ registry, repository: 'acme/app', tag: '1' }, platform);
    expect(fixture.server.requests.length).toBeGreaterThan(0);
  });
});
