import { inspect } from 'node:util';
import { parseReference } from '#oci';
import { isKilnError, single } from '#std';
import { addSampleImage, type FaultAuth, type FaultRegistry, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RegistryAuth } from './options.ts';

const { layer, layerBytes, manifestBytes, platform } = sampleImage;
const right = { username: 'ci', password: 'correct-horse' };
const wrong = { username: 'ci', password: 'hunter2hunter2' };

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
  addSampleImage(fixture.server);
});
afterEach(() => fixture[Symbol.asyncDispose]());

const actions = ['pull', 'push', 'tag'] as const;

async function failureOf(action: (typeof actions)[number], auth: RegistryAuth | undefined, registry?: string) {
  const client = fixture.client({ ...(auth === undefined ? {} : { auth }), connectTimeoutMs: 500 });
  const image = parseReference(`${registry ?? fixture.server.host}/acme/app:1`);
  const failed = async (): Promise<void> => {
    if (action === 'pull') await client.resolve(image, platform);
    else if (action === 'push') await client.pushBlob(image, layer, () => single(layerBytes));
    else await client.pushManifest(image, 'application/json', manifestBytes);
  };
  const thrown: unknown = await failed().then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!isKilnError(thrown)) throw new Error(`not a failure that says anything: ${String(thrown)}`);
  return thrown;
}

const answering =
  (status: number, code: string, headers: Record<string, string> = {}) =>
  (server: FaultRegistry): void =>
    server.fault(
      ({ path }) => path.startsWith('/v2/'),
      (response) => response.writeHead(status, headers).end(JSON.stringify({ errors: [{ code, message: 'no' }] })),
      99,
    );
const challenging =
  (auth: FaultAuth) =>
  (server: FaultRegistry): void => {
    server.auth = auth;
    server.blobs.clear();
  };
const basic = challenging({ kind: 'basic', ...right });
const bearer = challenging({ kind: 'bearer', user: right });
const withholding = challenging({
  kind: 'bearer',
  user: right,
  withhold: ['repository:acme/app:pull', 'repository:acme/app:pull,push'],
});

interface Case {
  readonly name: string;
  readonly prepare: (server: FaultRegistry) => void;
  readonly auth?: RegistryAuth;
  readonly code: string;
  readonly hint: RegExp;
}

const cases: readonly Case[] = [
  { name: 'no credentials', prepare: basic, code: 'REGISTRY_DENIED', hint: /sign in: docker login/ },
  { name: 'no credentials for tokens', prepare: withholding, code: 'REGISTRY_DENIED', hint: /sign in: docker login/ },
  {
    name: 'a wrong password',
    prepare: basic,
    auth: wrong,
    code: 'REGISTRY_DENIED',
    hint: /credentials for .* are wrong or have expired; sign in again: docker login/,
  },
  {
    name: 'a wrong password for tokens',
    prepare: bearer,
    auth: wrong,
    code: 'REGISTRY_DENIED',
    hint: /are wrong or have expired; sign in again: docker login/,
  },
  {
    name: 'an identity token that has expired',
    prepare: (server) => {
      bearer(server);
      server.fault(
        ({ path }) => path.startsWith('/token'),
        (response) => response.writeHead(400).end('{"error":"invalid_grant","error_description":"hunter2hunter2"}'),
        99,
      );
    },
    auth: { identityToken: 'hunter2hunter2' },
    code: 'REGISTRY_DENIED',
    hint: /are wrong or have expired; sign in again: docker login/,
  },
  {
    name: 'an account without the right',
    prepare: withholding,
    auth: right,
    code: 'REGISTRY_DENIED',
    hint: /this account may (use|push to) acme\/app/,
  },
  {
    name: '403',
    prepare: answering(403, 'DENIED'),
    auth: right,
    code: 'REGISTRY_DENIED',
    hint: /this account may (use|push to) acme\/app/,
  },
  {
    name: 'a name that it does not take',
    prepare: answering(400, 'NAME_INVALID'),
    code: 'REGISTRY_DENIED',
    hint: /takes no repository of the name acme\/app/,
  },
  { name: 'persistent 5xx', prepare: answering(500, 'UNKNOWN'), code: 'REGISTRY_FAILED', hint: /try again later/ },
  {
    name: 'too many requests',
    prepare: answering(429, 'TOOMANYREQUESTS', { 'retry-after': '120' }),
    code: 'REGISTRY_FAILED',
    hint: /sign in .*mirror .*or wait/,
  },
  {
    name: 'connections that break',
    prepare: (server) =>
      server.fault(
        () => true,
        (response) => response.destroy(),
        99,
      ),
    code: 'REGISTRY_FAILED',
    hint: /look at the network/,
  },
];

describe('what a registry does not do', () => {
  describe.each(cases)('for $name', ({ prepare, auth, code, hint }) => {
    it.each(actions)('is said with host, repository and what to do next: %s', async (action) => {
      const { server } = fixture;
      prepare(server);
      const failure = await failureOf(action, auth);
      expect(failure.code).toBe(code);
      expect(failure.message).toContain(server.host);
      expect(failure.message).toContain('acme/app');
      expect(failure.hint).toMatch(hint);
      // Nor does anything that it was caused by say a secret.
      const all = inspect(failure, { depth: null });
      const secrets = ['correct-horse', 'hunter2', Buffer.from('ci:correct-horse').toString('base64')];
      expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
      expect(all).not.toMatch(/token-\d+-/);
    });
  });

  it.each(actions)('is told from what is not there: %s', async (action) => {
    answering(404, 'NAME_UNKNOWN')(fixture.server);
    const failure = await failureOf(action, right);
    expect(failure).toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    expect(failure.message).toMatch(/has not got .*acme\/app/);
    expect(failure.hint).toMatch(action === 'pull' ? /check the name and the tag/ : /create the repository acme\/app/);
  });

  it.each(actions)('is told from nobody who answers: %s', async (action) => {
    const { host } = fixture.other;
    await fixture.other[Symbol.asyncDispose]();
    const failure = await failureOf(action, right, host);
    expect(failure.code).toBe('REGISTRY_UNREACHABLE');
    expect(failure.message).toContain(`${host} cannot be reached`);
    expect(failure.message).toContain('acme/app');
    expect(failure.hint).toMatch(/check that the name is right, and the network/);
  });
});
