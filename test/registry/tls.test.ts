import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, mediaType } from '#oci';
import { type Authority, RegistryClient, TrustStore } from '#registry';
import { collect, silentLogger, single, systemClock } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../apps/builder/src/config.ts';
import { Registries } from '../../apps/builder/src/registries.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { RealRegistry } from './real-registry.ts';

const stack = new AsyncDisposableStack();
let directory: string;
let own: Certificate;
let foreign: Certificate;
let registry: RealRegistry;
let host: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kiln-tls-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  own = await makeCertificate(directory, 'own');
  foreign = await makeCertificate(directory, 'foreign');
  registry = stack.use(await RealRegistry.start({ tls: own }));
  host = `registry.example.com:${registry.host.split(':')[1]}`;
});
afterAll(() => stack.disposeAsync());

const bytes = randomBytes(10_000_000);
const descriptor = { mediaType: mediaType.ociLayerGzip, digest: digestOf(bytes), size: bytes.length };

const trusting = (name: string, { pem }: Certificate): Authority => ({ for: name, certificates: pem });

async function pushed(authorities: readonly Authority[], at = host): Promise<boolean> {
  await using client = new RegistryClient({
    clock: systemClock,
    credentials: () => Promise.resolve(null),
    mirrors: [],
    plainHttp: [],
    logger: silentLogger,
    egress: { allow: ['127.0.0.0/8'] },
    lookup: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    trust: new TrustStore(authorities),
  });
  const to = { registry: at, repository: 'acme/app' };
  await client.pushBlob(to, descriptor, () => single(bytes));
  return (await collect(client.fetchBlob(to, descriptor), bytes.length)).equals(bytes);
}

describe('a registry whose certificate is of an authority of its own', () => {
  it('is pushed to and pulled from where that is trusted', async () => {
    expect(await pushed([trusting(host, own)])).toBe(true);
    expect(await pushed([trusting('registry.example.com', own), trusting('*', foreign)])).toBe(true);
    expect(await pushed([trusting('*', own)])).toBe(true);
  });

  it.each([
    ['nobody', () => []],
    ['somebody else', () => [trusting(host, foreign)]],
    ['its authority, but for another port', () => [trusting('registry.example.com:1', own)]],
    ['its authority, but for another host', () => [trusting('example.com', own)]],
  ])('is not where %s is trusted, and it is said what to do', async (_, authorities) => {
    await expect(pushed(authorities())).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining(`no TLS connection to ${host}`) as string,
      hint: expect.stringContaining(`KILN_REGISTRY_CA=${host}=`) as string,
    });
  });

  it('is not trusted under a name that its certificate is not for', async () => {
    const at = host.replace('registry', 'other');
    await expect(pushed([trusting('*', own)], at)).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      hint: expect.stringContaining('for another name') as string,
    });
  });
});

describe("a builder's environment", () => {
  const newRegistries = (env: Readonly<Record<string, string>>): Registries => {
    const config = readConfig({
      KILN_DATABASE_URL: 'postgres://127.0.0.1/kiln',
      KILN_REDIS_URL: 'redis://127.0.0.1',
      KILN_OBJECT_STORE: directory,
      KILN_SECRET_KEY: 'ab'.repeat(32),
      KILN_BUILDER_ID: 'one',
      KILN_BUILDER_DIR: directory,
      KILN_REGISTRY_MIRRORS: `registry.invalid=https://${registry.host}`,
      ...env,
    });
    return new Registries(config, systemClock, silentLogger);
  };
  const read = async (env: Readonly<Record<string, string>>): Promise<number> => {
    await using client = newRegistries(env).client(() => null);
    const from = { registry: 'registry.invalid', repository: 'acme/app' };
    return (await collect(client.fetchBlob(from, descriptor), bytes.length)).length;
  };
  beforeAll(() => pushed([trusting('*', own)]));

  it.each([
    [
      'for one registry',
      () => ({ KILN_REGISTRY_CA: `other.example.com=${foreign.certificate}, ${registry.host}=${own.certificate}` }),
    ],
    ['for all of them', () => ({ KILN_CA_BUNDLE: own.certificate })],
  ])('names whom to trust %s', async (_, env) => {
    expect(await read(env())).toBe(descriptor.size);
  });

  it('names whom not to trust by saying nothing', async () => {
    await expect(read({ KILN_REGISTRY_CA: `other.example.com=${own.certificate}` })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    });
  });

  it.each(['/no/such/file', '/etc/hostname'])('is refused when there is no certificate in %s', (path) => {
    expect(() => newRegistries({ KILN_REGISTRY_CA: `registry.example.com=${path}` })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', hint: expect.stringContaining('PEM') as string }),
    );
  });
});
