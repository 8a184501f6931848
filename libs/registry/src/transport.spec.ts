import { collect, single } from '#std';
import { addSampleImage, type FaultRegistry, type Recorded, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RegistryClient } from './registry-client.ts';

const { layer, layerBytes } = sampleImage;
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
  addSampleImage(fixture.server);
});
afterEach(() => fixture[Symbol.asyncDispose]());

const redirect = (matches: (request: Recorded) => boolean) => (server: FaultRegistry, to: string) =>
  server.fault(matches, (response) => response.writeHead(307, { location: to }).end(), 99);

const pull = (client: RegistryClient) => collect(client.fetchBlob(app(), layer), layer.size);
const push = (client: RegistryClient) => {
  fixture.server.blobs.clear();
  return client.pushBlob(app(), layer, () => single(layerBytes));
};

const ways = [
  {
    way: 'a redirect of a blob',
    lead: redirect(({ method, path }) => method === 'GET' && path.includes('/blobs/')),
    work: pull,
  },
  { way: 'a redirect of a question for a blob', lead: redirect(({ method }) => method === 'HEAD'), work: push },
  {
    way: 'where to get tokens',
    lead: (server: FaultRegistry, realm: string) => {
      server.auth = { kind: 'bearer', realm };
    },
    work: pull,
  },
  {
    way: 'where to upload to',
    lead: (server: FaultRegistry, location: string) =>
      server.fault(
        ({ method }) => method === 'POST',
        (response) => response.writeHead(202, { location }).end(),
        99,
      ),
    work: push,
  },
];

describe.each(ways)('$way', ({ lead, work }) => {
  it.each([
    ['a loopback address', () => fixture.other.url],
    ['the same machine under its name', () => `http://localhost:${fixture.other.port}`],
    ['IPv4 in IPv6', () => `https://[::ffff:127.0.0.1]:${fixture.other.port}/`],
    ['an address written in another way', () => `https://2130706433:${fixture.other.port}/`],
    ['a link-local address', () => 'https://169.254.169.254/latest/meta-data'],
    ['a name of a private address', () => 'https://metadata.test/'],
  ])('does not lead to %s', async (_, to) => {
    const { server, other } = fixture;
    lead(server, to());
    const client = fixture.client({
      egress: { allow: [server.host] },
      lookup: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    });
    await expect(work(client)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      hint: expect.stringContaining('KILN_EGRESS_ALLOW') as string,
    });
    expect(other.requests).toEqual([]);
  });

  it('leads where that is allowed', async () => {
    const { server, other } = fixture;
    lead(server, other.url);
    const client = fixture.client({ egress: { allow: [server.host, other.host] } });
    await work(client).catch(() => undefined);
    expect(other.requests.length).toBeGreaterThan(0);
  });

  it.each(['http://storage.example.com/', 'ftp://storage.example.com/', 'file:///etc/passwd', 'http://'])(
    'does not lead to %s',
    async (to) => {
      const { server } = fixture;
      lead(server, to);
      const looked: string[] = [];
      const client = fixture.client({
        auth: { username: 'ci', password: 'secret' },
        lookup: (name) => {
          looked.push(name);
          return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
        },
      });
      await expect(work(client)).rejects.toMatchObject({
        code: expect.stringMatching(/^REGISTRY_(?:DENIED|FAILED)$/) as string,
      });
      expect(looked).toEqual([]);
    },
  );
});

it('does not follow redirects in a circle', async () => {
  const { server } = fixture;
  redirect(({ path }) => path.includes('/blobs/'))(server, `/v2/acme/app/blobs/${layer.digest}`);
  await expect(pull(fixture.client())).rejects.toMatchObject({
    code: 'REGISTRY_FAILED',
    message: expect.stringContaining('in a circle') as string,
  });
  expect(server.requests).toHaveLength(6);
});
