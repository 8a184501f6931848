import { randomBytes } from 'node:crypto';
import { digestOf, mediaType } from '#oci';
import { RegistryClient } from '#registry';
import { collect, silentLogger, single, systemClock } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CuttingProxy } from './cutting-proxy.ts';
import { RealRegistry } from './real-registry.ts';

const stack = new AsyncDisposableStack();
let proxy: CuttingProxy;
let client: RegistryClient;
beforeAll(async () => {
  const registry = stack.use(await RealRegistry.start());
  proxy = stack.use(await CuttingProxy.start(registry.host));
  client = stack.use(
    new RegistryClient({
      clock: systemClock,
      credentials: () => Promise.resolve(null),
      mirrors: [],
      plainHttp: [],
      logger: silentLogger,
      egress: { allow: ['127.0.0.0/8'] },
    }),
  );
});
afterAll(() => stack.disposeAsync());

describe('a line that breaks while a real registry takes and gives a layer', () => {
  it.each([1_000_000, 12_000_000])('does no harm to it (%s bytes, broken twice each way)', async (size) => {
    const bytes = randomBytes(size);
    const descriptor = { mediaType: mediaType.ociLayerGzip, digest: digestOf(bytes), size };
    const to = { registry: proxy.host, repository: 'acme/app' };
    proxy.cuts.push(size / 2, size / 3);
    expect(await client.pushBlob(to, descriptor, () => single(bytes))).toBe('pushed');
    expect(proxy.cuts).toEqual([]);
    proxy.answerCuts.push(size / 2, size / 3);
    expect((await collect(client.fetchBlob(to, descriptor), size)).equals(bytes)).toBe(true);
    expect(proxy.answerCuts).toEqual([]);
  });
});
