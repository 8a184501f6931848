import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Descriptor, digestOf, mediaType } from '#oci';
import { type RegistryAuth, RegistryClient } from '#registry';
import { type Bytes, collect, silentLogger, single, systemClock } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealRegistry } from './real-registry.ts';
import { type Certificate, makeCertificate, TokenService } from './token-service.ts';

const stack = new AsyncDisposableStack();
let certificate: Certificate;
let service: TokenService;
let byToken: RealRegistry;
let byPassword: RealRegistry;
let encrypted: RealRegistry;
let authority: string;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-access-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  certificate = await makeCertificate(directory, 'tokens');
  service = stack.use(await TokenService.start(certificate));
  const access = { kind: 'token', realm: service.realm, certificate: certificate.certificate } as const;
  byToken = stack.use(await RealRegistry.start({ access }));
  byPassword = stack.use(await RealRegistry.start({ access: { kind: 'basic' } }));
  const tls = await makeCertificate(directory, 'server');
  authority = tls.certificate;
  encrypted = stack.use(await RealRegistry.start({ tls }));
});
afterAll(() => stack.disposeAsync());

const run = promisify(execFile);
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

/** Asks for a blob at the registry under its own name, as a process that trusts whom its environment says. */
async function askEncrypted(env: Readonly<Record<string, string>>): Promise<string> {
  const dist = (name: string): string => new URL(`../../dist/libs/${name}/src/index.js`, import.meta.url).href;
  const script = `
    import { RegistryClient } from ${JSON.stringify(dist('registry'))};
    import { silentLogger, single, systemClock } from ${JSON.stringify(dist('std'))};
    import { digestOf } from ${JSON.stringify(dist('oci'))};
    const client = new RegistryClient({
      clock: systemClock, credentials: async () => null, mirrors: [], plainHttp: [], logger: silentLogger,
      egress: { allow: ['127.0.0.0/8'] }, lookup: async () => [{ address: '127.0.0.1', family: 4 }],
    });
    const bytes = Buffer.alloc(100, 'x');
    const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length };
    const to = { registry: 'registry.example.com:${encrypted.host.split(':')[1]}', repository: 'acme/app' };
    try {
      console.log(await client.pushBlob(to, descriptor, () => single(bytes)));
      for await (const chunk of client.fetchBlob(to, descriptor)) console.log(chunk.length);
    } catch (error) {
      console.log(error.code, error.message, error.hint);
    }
    await client.close();
  `;
  const { PATH = '' } = process.env;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { env: { PATH, ...env } });
  return stdout;
}

describe('a registry with a certificate of its own authority', () => {
  it('is trusted where its authority is', async () => {
    expect(await askEncrypted({ NODE_EXTRA_CA_CERTS: authority })).toBe('pushed\n100\n');
  });

  it('is not trusted elsewhere, and it is said how it can be', async () => {
    expect(await askEncrypted({})).toMatch(
      /^REGISTRY_FAILED no TLS connection to registry\.example\.com.*NODE_EXTRA_CA_CERTS/,
    );
  });
});
