import request, { type Test } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImageContent, MissingBlobs, Permission } from '#protocol';
import { ProjectStore, TokenStore } from '#storage';
import { belongings, MARK } from './belongings.ts';
import { asker, Method } from './caller.ts';
import { claimed, type Farm, smallTar, startFarm, submitted } from './farm.ts';
import { Document, type Route } from './fuzz/requests.ts';
import { keptImage } from './kept-image.ts';

let farm: Farm;
let id: string;
let routes: readonly Route[];
beforeAll(async () => {
  farm = await startFarm();
  id = await submitted(farm);
  const { paths } = Document.parse((await request(farm.url).get('/v1/openapi.json')).body);
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation['x-websocket'] === undefined ? [{ method, path, operation }] : [],
    ),
  );
});
afterAll(() => farm[Symbol.asyncDispose]());

/** Asks a route, of a build that is there. */
async function ask({ method, path }: Route, authorization?: string) {
  const filled = path
    .replace('{id}', id)
    .replace('{n}', '0')
    .replace('{digest}', `sha256:${'0'.repeat(64)}`)
    .replace(/\{\w+\}/g, 'x')
    // What it must be told comes before whose it is.
    .replace(/\/search$/, '/search?text=x');
  const agent = request(farm.url);
  const methods: Readonly<Record<string, (url: string) => Test>> = {
    get: (url) => agent.get(url),
    post: (url) => agent.post(url),
    put: (url) => agent.put(url),
    patch: (url) => agent.patch(url),
    delete: (url) => agent.delete(url),
  };
  const answer = await methods[method]?.(filled).set(authorization === undefined ? {} : { authorization });
  if (answer === undefined) throw new Error(`no such method: ${method}`);
  return {
    route: `${method} ${path}`,
    status: answer.status,
    type: answer.headers['content-type'],
    body: answer.body as unknown,
  };
}
const needs = ({ operation }: Route): string | undefined => operation.security[0]?.token[0];
const isPublic = ({ operation }: Route): boolean => operation.security.length === 0;
const problem = expect.stringContaining('application/problem+json') as unknown;

describe('every route', () => {
  it('but those that tell of no project needs a token that the farm knows', async () => {
    const open = routes.filter(isPublic).map(({ path }) => path);
    expect(open.sort()).toEqual([
      '/docs',
      '/healthz',
      '/readyz',
      '/v1/oidc/token',
      '/v1/openapi.json',
      '/v1/projects/{project}/badge.svg',
      '/v1/session',
      '/v1/session',
      '/v1/session/oidc',
      '/v1/session/oidc/callback',
      '/v1/session/oidc/end',
      '/v1/session/ways',
    ]);
    const statuses: Readonly<Record<string, number>> = { get: 200, post: 400, delete: 204 };
    for (const route of routes.filter(isPublic)) {
      // No project shows one by itself, and no farm has an issuer.
      const expected = /badge\.svg$|session\/oidc/.test(route.path) ? 404 : statuses[route.method];
      expect([route.path, (await ask(route)).status]).toEqual([route.path, expected]);
    }
    const { mine } = farm.tokens;
    for (const route of routes.filter((each) => !isPublic(each))) {
      for (const header of [undefined, 'Bearer', 'Bearer kiln_nope', `Bearer ${mine}x`, `Basic ${mine}`, mine]) {
        const answer = await ask(route, header);
        expect(answer).toMatchObject({ status: 401, type: problem, body: { code: 'UNAUTHENTICATED' } });
      }
    }
  });

  it('is shut to a token that is not good for it', async () => {
    // A token may always make and end tokens that can do no more than itself.
    const ofTeam = ['/v1/members', '/v1/projects'];
    const own = ['post /v1/tokens', 'delete /v1/tokens/{id}'];
    for (const route of routes.filter((each) => !isPublic(each))) {
      const answer = await ask(route, `Bearer ${farm.tokens.reader}`);
      if (route.path === '/v1/session/project') expect(answer.status).toBe(400);
      else if (['/v1/me', '/v1/session/codes', '/v1/session/projects'].includes(route.path))
        expect(answer.status).toBe(route.method === 'get' ? 200 : 201);
      else if (needs(route) === 'read')
        expect([answer, answer.status < 405 && (answer.status !== 403 || ofTeam.includes(route.path))]).toEqual([
          answer,
          true,
        ]);
      else expect(answer).toMatchObject({ status: 403, type: problem, body: { code: 'PERMISSION_DENIED' } });
      if (needs(route) === 'operator') expect(['/metrics', '/v1/builders/{id}/drain']).toContain(route.path);
      if (route.method !== 'get' && !own.includes(answer.route)) expect(needs(route)).not.toBe('read');
    }
    for (const route of routes.filter((each) => needs(each) === 'admin')) {
      const answer = await ask(route, `Bearer ${farm.tokens.builder}`);
      expect(answer).toMatchObject({ status: 403, type: problem, body: { code: 'PERMISSION_DENIED' } });
    }
    const forAdmins = new Set(routes.filter((each) => needs(each) === 'admin').map(({ path }) => path.split('/')[2]));
    expect([...forAdmins].sort()).toEqual([...['audit', 'members', 'projects', 'registries', 'scopes', 'trust-rules']]);
  });

  it('shows another project nothing of what belongs to one, and leaves it as it is', async () => {
    const asked = await belongings(farm);
    // Whoever adds a route says there what of a project it is about.
    const names = routes.filter((each) => !isPublic(each)).map(({ method, path }) => `${method} ${path}`);
    expect(Object.keys(asked).sort()).toEqual(names.sort());
    const send = (name: string, token: string, at = (path: string) => path): Test => {
      const { path, body, type = 'application/json' } = asked[name] ?? { path: '' };
      const method = Method.parse(name.split(' ')[0]);
      const sent = request(farm.url)[method](at(path)).set('authorization', `Bearer ${token}`);
      return body === undefined ? sent : sent.type(type).send(body);
    };
    const shown: unknown[] = [];
    for (const [name, { answer }] of Object.entries(asked)) {
      const answered = await send(name, farm.tokens.other);
      const { status, text } = answered;
      const missing = MissingBlobs.safeParse(answered.body).data?.missing.length === 1;
      const said = { gone: status === 404, shut: status === 403, unfit: status === 409, nothing: status < 300 };
      const kept = { ...said, missing }[answer];
      if (!kept || text.includes(MARK)) shown.push([name, status, text]);
    }
    expect(shown).toEqual([]);
    // All of it is where it was, for whose it is; the image has no attestation of that digest, and of the build no provenance is told.
    const lost: unknown[] = [];
    for (const name of Object.keys(asked).filter((each) => /^get (?!.*(?:provenance|attestations))/.test(each))) {
      const { status, text } = await send(name, farm.tokens.mine, (path) => path.replace('/other/', '/mine/'));
      if (status === 404) lost.push([name, status, text]);
    }
    expect(lost).toEqual([]);
  });

  it('takes no more than it can hold', async () => {
    for (const path of ['/v1/builds', '/v1/cache/prune', '/v1/cache/disown', '/v1/blobs/missing']) {
      const answer = await request(farm.url)
        .post(path)
        .set('authorization', `Bearer ${farm.tokens.mine}`)
        .send({ x: 'x'.repeat(16 * 1024 * 1024) });
      expect([path, answer.status, answer.body]).toMatchObject([path, 413, { code: 'LIMIT_EXCEEDED' }]);
    }
  });
});

describe('an image', () => {
  const call = asker(() => farm);
  /** Of `main`, and of a pull request that inherits from it. */
  let images: { readonly main: ImageContent; readonly request: ImageContent };
  let pullRequest: string;
  beforeAll(async () => {
    const ids = await new ProjectStore(farm.db).ensure('mine', 'pr-7', { trust: 'fork', parent: 'main' });
    pullRequest = await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
    images = {
      main: await keptImage(farm, await claimed(farm, await submitted(farm)), 'main'),
      request: await keptImage(farm, await claimed(farm, await submitted(farm, {}, pullRequest)), 'request'),
    };
  });

  /** All that can be asked of it by its name, its digest or its id. */
  const asked = ({ descriptor, variants }: ImageContent, name: string) =>
    [`acme/${name}:1`, descriptor.digest, descriptor.digest.slice(7, 19), variants[0]?.id ?? ''].flatMap((each) => {
      const image = encodeURIComponent(each);
      const names = { names: ['registry.example/stolen:1'] };
      return [
        ['get', `/v1/images/${image}`],
        ['get', `/v1/images/${image}/layers`],
        ['get', `/v1/images/${image}/changes?with=${image}`],
        ['post', `/v1/images/${image}/tag`, { name: 'acme/stolen:1' }],
        ['post', `/v1/images/${image}/push`, names],
        ['post', `/v1/images/${image}/run`, { pull: 'never' }],
        ['delete', `/v1/images/${image}`],
        ['get', `/v1.41/images/${each}/json`],
        ['get', `/v1.41/images/${each}/history`],
        ['post', `/v1.41/images/${each}/tag?repo=acme/stolen&tag=1`],
        ['post', `/v1.41/images/${each.replace(/:1$/, '')}/push?tag=1`],
        ['delete', `/v1.41/images/${each}`],
      ] as const;
    });

  it('is not there for another project, nor for a scope that does not inherit it', async () => {
    for (const [token, image, name] of [
      [farm.tokens.other, images.main, 'main'],
      [farm.tokens.other, images.request, 'request'],
      [farm.tokens.mine, images.request, 'request'],
    ] as const) {
      for (const [method, path, body] of asked(image, name)) {
        const { status } = await call(method, path, token, body);
        expect([method, path, status]).toEqual([method, path, 404]);
      }
      const digest = image.descriptor.digest;
      const push = { request: { call: 'push', image: digest, tags: ['registry.example/stolen:1'] } };
      const pushed = await call('post', '/v1/builds', token, push);
      expect(pushed.status).toBeGreaterThanOrEqual(400);
      const changes = `/v1/images/acme%2Fmain:1/changes?with=${digest}`;
      expect((await call('get', changes, token)).status).toBe(404);
    }
    for (const list of ['/v1/images?all=true', '/v1.41/images/json?all=1']) {
      expect((await call('get', list, farm.tokens.other)).text).not.toContain('sha256:');
      expect((await call('get', list, farm.tokens.mine)).text).not.toContain(images.request.descriptor.digest);
    }
  });

  it('is shown to a scope that inherits it, which leaves it as it is', async () => {
    const path = `/v1/images/${images.main.descriptor.digest}`;
    for (const each of [path, '/v1/images/acme%2Fmain:1', '/v1.41/images/acme/main:1/history'])
      expect((await call('get', each, pullRequest)).status).toBe(200);
    for (const each of [path, '/v1/images/acme%2Fmain:1', '/v1.41/images/acme/main:1'])
      expect((await call('delete', each, pullRequest)).status).toBe(403);
    expect((await call('post', `/v1/images/acme%2Frequest:1/tag`, pullRequest, { name: 'acme/main:1' })).status).toBe(
      201,
    );
    const mine = await call('get', '/v1/images/acme%2Fmain:1', farm.tokens.mine);
    expect(mine.body).toMatchObject({ digest: images.main.descriptor.digest, names: ['docker.io/acme/main:1'] });
  });
});

describe('what a pull request does', () => {
  it('is nothing to builds of the default branch but to read them', async () => {
    const fork = await new ProjectStore(farm.db).ensure('mine', 'pr-8', { trust: 'fork', parent: 'main' });
    const token = await new TokenStore(farm.db).create({ ...fork, permissions: Permission.options });
    const call = asker(() => farm);
    expect((await call('get', `/v1/builds/${id}`, token)).status).toBe(200);
    for (const [path, body] of [
      [`/v1/builds/${id}/cancel`],
      [`/v1/builds/${id}/retry`, {}],
      ['/v1/cache/prune', {}],
    ] as const)
      expect([path, (await call('post', path, token, body)).status]).toEqual([path, 403]);
    const submit = async (by: string): Promise<number> =>
      (
        await request(farm.url)
          .post('/v1/builds')
          .set('authorization', `Bearer ${by}`)
          .set('idempotency-key', 'of-two-scopes')
          .type('application/x-tar')
          .send(await smallTar())
      ).status;
    expect([await submit(farm.tokens.mine), await submit(token)]).toEqual([202, 409]);
  });
});
