import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Descriptor, digestOf, mediaType } from '#oci';
import { type RegistryAuth, RegistryClient } from '#registry';
import { type Bytes, collect, silentLogger, single, systemClock } from '#std';
import { FaultProxy } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Certificate, makeCertificate } from './certificate.ts';
import { RealRegistry } from './real-registry.ts';
import { TokenService } from './token-service.ts';

const stack = new AsyncDisposableStack();
let certificate: Certificate;
let service: TokenService;
let byToken: RealRegistry;
let byPassword: RealRegistry;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-access-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  certificate = await makeCertificate(directory, 'tokens');
  service = stack.use(await TokenService.start(certificate));
  const access = { kind: 'token', realm: service.realm, certificate: certificate.certificate } as const;
  byToken = stack.use(await RealRegistry.start({ access }));
  byPassword = stack.use(await RealRegistry.start({ access: { kind: 'basic' } }));
});
afterAll(() => stack.disposeAsync());

const ci: RegistryAuth = { username: 'ci', password: 'secret' };

function newClient(auth: RegistryAuth | null): RegistryClient {
  return new RegistryClient({
    clock: systemClock,
    credentials: () => Promise.resolve(auth),
    mirrors: [],
    plainHttp: [],
    logger: silentLogger,
    egress: { allow: ['127.0.0.0/8'] },
  });
}

function newBlob(size: number): { readonly bytes: Buffer; readonly descriptor: Descriptor } {
  const bytes = randomBytes(size);
  return { bytes, descriptor: { mediaType: mediaType.ociLayerGzip, digest: digestOf(bytes), size } };
}

describe('a registry that wants name and password', () => {
  it('is given them', async () => {
    await using client = newClient(ci);
    const { bytes, descriptor } = newBlob(10_000_000);
    const to = { registry: byPassword.host, repository: 'acme/app' };
    expect(await client.pushBlob(to, descriptor, () => single(bytes))).toBe('pushed');
    expect((await collect(client.fetchBlob(to, descriptor), 20_000_000)).equals(bytes)).toBe(true);
  });

  it.each([
    ['wrong ones', { username: 'ci', password: 'hunter2' }],
    ['none', null],
  ])('refuses %s, and says how to sign in', async (_, auth) => {
    await using client = newClient(auth);
    const { bytes, descriptor } = newBlob(10);
    const to = { registry: byPassword.host, repository: 'acme/app' };
    const pushed = client.pushBlob(to, descriptor, () => single(bytes));
    const thrown: unknown = await pushed.catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'REGISTRY_DENIED', hint: expect.stringContaining('docker login') as string });
    expect(String(thrown)).not.toContain('hunter2');
  });
});

describe('a registry that wants tokens', () => {
  it.each([
    ['name and password', ci],
    ['an identity token', { identityToken: 'refresh-me' }],
  ])('is given one for %s', async (_, auth) => {
    await using client = newClient(auth);
    const { bytes, descriptor } = newBlob(10_000_000);
    const to = { registry: byToken.host, repository: 'acme/app' };
    service.given.length = 0;
    expect(await client.pushBlob(to, descriptor, () => single(bytes))).toBe('pushed');
    expect(await client.pushBlob(to, descriptor, () => single(bytes))).toBe('exists');
    expect(service.given).toEqual(['repository:acme/app:pull,push']);
    expect((await collect(client.fetchBlob(to, descriptor), 20_000_000)).equals(bytes)).toBe(true);
  });

  it('refuses who the service does not know', async () => {
    await using client = newClient({ username: 'ci', password: 'wrong' });
    const { bytes, descriptor } = newBlob(10);
    const to = { registry: byToken.host, repository: 'acme/app' };
    await expect(client.pushBlob(to, descriptor, () => single(bytes))).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
    });
  });

  it.each([
    ['before', 0],
    ['in the middle of', 5_000_000],
  ])('is given another one when the first expires %s a transfer', async (_, expiresAt) => {
    await using client = newClient(ci);
    const { bytes, descriptor } = newBlob(10_000_000);
    service.lifetimeS = 2;
    service.given.length = 0;
    let opened = 0;
    const slowly = async function* (): Bytes {
      if (expiresAt > 0) yield bytes.subarray(0, expiresAt);
      if (opened++ === 0) await delay(3_500);
      yield bytes.subarray(expiresAt);
    };
    const to = { registry: byToken.host, repository: `acme/slow${expiresAt}` };
    expect(await client.pushBlob(to, descriptor, slowly)).toBe('pushed');
    expect(service.given.filter((scope) => scope.endsWith(':pull,push')).length).toBeGreaterThan(1);
    service.lifetimeS = 300;
    expect((await collect(client.fetchBlob(to, descriptor), 20_000_000)).equals(bytes)).toBe(true);
  });

  it('is given another one when the first expires between two chunks', async () => {
    await using proxy = await FaultProxy.start(`http://${byToken.host}`);
    proxy.next(1, ({ method }) => method === 'PATCH', { kind: 'answer', status: 413, body: '' });
    await using client = newClient(ci);
    const { bytes, descriptor } = newBlob(40_000_000);
    const first = 32 * 1024 * 1024;
    service.lifetimeS = 2;
    service.given.length = 0;
    let waited = false;
    const open = async function* (): Bytes {
      yield bytes.subarray(0, first);
      const sent = proxy.requests.some(({ headers }) => headers['content-range']?.startsWith('0-') === true);
      if (sent && !waited) await delay(3_500);
      waited = sent;
      yield bytes.subarray(first);
    };
    const to = { registry: new URL(proxy.url).host, repository: 'acme/chunks' };
    expect(await client.pushBlob(to, descriptor, open)).toBe('pushed');
    service.lifetimeS = 300;
    const ranges = proxy.requests.flatMap(({ headers }) => headers['content-range'] ?? []);
    expect(new Set(ranges)).toEqual(new Set([`0-${first - 1}`, `${first}-39999999`]));
    expect(service.given.length).toBeGreaterThan(1);
    expect((await collect(client.fetchBlob(to, descriptor), bytes.length)).equals(bytes)).toBe(true);
  });

  it('mounts from a repository that the account may read', async () => {
    await using client = newClient(ci);
    const { bytes, descriptor } = newBlob(1000);
    await client.pushBlob({ registry: byToken.host, repository: 'acme/base' }, descriptor, () => single(bytes));
    const to = { registry: byToken.host, repository: 'acme/derived' };
    const open = (): Bytes => {
      throw new Error('opened');
    };
    expect(await client.pushBlob(to, descriptor, open, { mountFrom: 'acme/base' })).toBe('mounted');
  });

  it('is told to forget a push that is cancelled', async () => {
    await using client = newClient(ci);
    const { descriptor } = newBlob(10_000_000);
    const stop = new AbortController();
    let begun: readonly string[] = [];
    const open = async function* (): Bytes {
      begun = await byToken.uploads('acme/cancelled');
      stop.abort(new Error('cancelled'));
      yield await new Promise<never>(() => {});
    };
    const to = { registry: byToken.host, repository: 'acme/cancelled' };
    await expect(client.pushBlob(to, descriptor, open, {}, stop.signal)).rejects.toThrow('cancelled');
    expect(begun).toHaveLength(1);
    expect(await byToken.uploads('acme/cancelled')).toEqual([]);
  });
});
