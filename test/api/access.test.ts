import request, { type Test } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Farm, startFarm, submitted } from './farm.ts';
import { Document, type Route } from './fuzz/requests.ts';

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
    ]);
    const statuses: Readonly<Record<string, number>> = { get: 200, post: 400, delete: 204 };
    for (const route of routes.filter(isPublic)) {
      // No project shows one by itself.
      const expected = route.path.endsWith('badge.svg') ? 404 : statuses[route.method];
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
      if (['/v1/me', '/v1/session/codes'].includes(route.path))
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

  it('of a build is not there for another project', async () => {
    for (const route of routes.filter(({ path }) => path.startsWith('/v1/builds/{id}'))) {
      const answer = await ask(route, `Bearer ${farm.tokens.other}`);
      expect(answer).toMatchObject({ status: 404, type: problem, body: { code: 'NOT_FOUND' } });
    }
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
