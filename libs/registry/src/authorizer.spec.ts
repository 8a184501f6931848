import { addSampleImage, type FaultRegistry, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { platform } = sampleImage;
const paths = (at: FaultRegistry): string[] => at.requests.map(({ method, path }) => `${method} ${path}`);

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('authentication', () => {
  const user = { username: 'ann', password: 'pa:ss' };

  it('gets an anonymous token once, and uses it as long as it is good', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer', expiresInS: 100 };
    const client = fixture.client();
    await client.resolve(fixture.image, platform);
    await client.resolve(fixture.image, platform);
    const tokens = () => paths(server).filter((path) => path.includes('/token'));
    expect(tokens()).toEqual([`GET /token?service=fault&scope=repository%3Aacme%2Fapp%3Apull`]);
    fixture.clock.now += 95_000;
    await client.resolve(fixture.image, platform);
    expect(tokens()).toHaveLength(2);
  });

  it('shares one token among requests in parallel', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer' };
    const client = fixture.client();
    await client.resolve(fixture.image, platform);
    server.revokeTokens();
    fixture.clock.now += 1000_000;
    await Promise.all(Array.from({ length: 5 }, () => client.resolve(fixture.image, platform)));
    expect(paths(server).filter((path) => path.includes('/token'))).toHaveLength(2);
  });

  it('asks again after the token service failed', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer' };
    server.fault(
      ({ path }) => path.startsWith('/token'),
      (response) => response.writeHead(503).end(),
    );
    await fixture.client().resolve(fixture.image, platform);
    expect(fixture.clock.slept).toEqual([500]);
  });

  it('asks for a new token when the old one is refused, once', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer' };
    const client = fixture.client();
    await client.resolve(fixture.image, platform);
    server.revokeTokens();
    await client.resolve(fixture.image, platform);
    server.auth = { kind: 'bearer', withhold: ['repository:acme/app:pull'] };
    server.revokeTokens();
    server.requests.length = 0;
    await expect(client.resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
    expect(paths(server).filter((path) => path.includes('/token'))).toHaveLength(1);
  });

  it('gives name and password to the token service, and never says them', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer', user };
    await fixture.client({ auth: user }).resolve(fixture.image, platform);
    const wrong = { username: 'ann', password: 'hunter2hunter2' };
    const thrown = await fixture
      .client({ auth: wrong })
      .resolve(fixture.image, platform)
      .catch((failure: unknown) => failure);
    expect(thrown).toMatchObject({
      code: 'REGISTRY_DENIED',
      hint: expect.stringContaining(`docker login ${server.host}`) as string,
    });
    expect(String(thrown)).not.toContain('hunter2');
  });

  it.each([
    ['before its answer', false],
    ['within its answer', true],
  ])('waits for a token service that is silent %s no longer than who asks', async (_, begins) => {
    const { server } = fixture;
    server.auth = { kind: 'bearer', user };
    const left = new AbortController();
    server.fault(
      ({ path }) => path.startsWith('/token'),
      (response) => {
        if (begins) response.writeHead(200).write('{');
        setImmediate(() => left.abort(new Error('gone')));
      },
    );
    const client = fixture.client({ auth: user });
    await expect(client.signIn(server.host, left.signal)).rejects.toThrow('gone');
    await client.close();
  });

  it('exchanges an identity token by POST', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer', user, identityToken: 'refresh-me' };
    await fixture.client({ auth: { identityToken: 'refresh-me' } }).resolve(fixture.image, platform);
    const asked = server.requests.find(({ path }) => path === '/token');
    expect(Object.fromEntries(new URLSearchParams(asked?.body.toString()))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-me',
      client_id: 'kiln',
      scope: 'repository:acme/app:pull',
      service: 'fault',
    });
  });

  it('speaks Basic', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'basic', ...user };
    await fixture.client({ auth: user }).resolve(fixture.image, platform);
    await expect(fixture.client().resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
  });

  it('sends no credentials to a plain HTTP token service that nobody configured', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer', user, realm: 'http://tokens.example/token' };
    const asked: string[] = [];
    const client = fixture.client({
      auth: user,
      lookup: (name) => {
        asked.push(name);
        return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
      },
    });
    await expect(client.resolve(fixture.image, platform)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      message: expect.stringContaining('without encryption') as string,
    });
    expect(asked).toEqual([]);
  });

  it('takes its secrets out of what a registry says', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = { kind: 'bearer', user };
    server.fault(
      ({ headers }) => headers.authorization?.startsWith('Bearer ') === true,
      (response, { headers }) =>
        response
          .writeHead(403)
          .end(JSON.stringify({ errors: [{ code: 'DENIED', message: `no: ${headers.authorization}` }] })),
    );
    const thrown = await fixture
      .client({ auth: user })
      .resolve(fixture.image, platform)
      .catch((failure: unknown) => failure);
    expect(String(thrown)).toContain('no: Bearer [redacted]');
  });
});
