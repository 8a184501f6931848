import { FolderContentStore } from '#content';
import { Problem } from '#protocol';
import { single, systemRandom } from '#std';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimed, type Farm, rawAnswer, startFarm, submitted, succeeded } from './farm.ts';

let farm: Farm;
let id: string;
beforeAll(async () => {
  farm = await startFarm();
  id = await submitted(farm);
});
afterAll(() => farm[Symbol.asyncDispose]());

const get = (path: string, token = farm.tokens.mine) =>
  request(farm.url).get(path).set('authorization', `Bearer ${token}`);

describe('a parameter that nobody knows', () => {
  it.each([
    ['/v1/builds?limt=3', 'limt', 'did you mean limit?'],
    ['/v1/builds?Branch=x', 'Branch', 'did you mean branch?'],
    ['/v1/cache/statistics?dayz=3', 'dayz', 'did you mean days?'],
    ['/v1/cache/statistics?nothing-like-it=3', 'nothing-like-it', 'there are by, days, limit, project, scope'],
    [`/v1/builds?${'limit'.repeat(100)}=3`, 'limit'.repeat(100), undefined],
  ])('of %s is answered with what is likely meant', async (path, field, hint) => {
    const answer = await get(path);
    expect(answer.status).toBe(400);
    const { code, field: named, hint: told } = Problem.parse(answer.body);
    expect([code, named, told]).toEqual(['INVALID_ARGUMENT', field, hint]);
  });

  it('of a body, too', async () => {
    const answer = await request(farm.url)
      .post('/v1/cache/prune')
      .set('authorization', `Bearer ${farm.tokens.mine}`)
      .send({ dryrun: true });
    expect(answer.body).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'dryrun', hint: 'did you mean dryRun?' });
  });
});

describe('entity tags', () => {
  it('spare who has an answer already', async () => {
    const paths = ['', '/steps', '/explain'].map((path) => `/v1/builds/${id}${path}`);
    for (const path of [...paths, '/v1/builds', '/v1/cache/usage', '/v1/openapi.json', '/docs']) {
      const first = await get(path);
      const { etag = '' } = first.headers;
      expect([path, first.status, etag]).toEqual([path, 200, expect.stringMatching(/^W\/"[\w-]{27}"$/)]);
      expect(first.headers['cache-control']).toBe('private, no-cache');
      const again = await get(path).set('if-none-match', `"other", ${etag}`);
      expect([path, again.status, again.text, again.headers['etag']]).toEqual([path, 304, '', etag]);
      expect((await get(path).set('if-none-match', '"other"')).status).toBe(200);
    }
  });

  it('change with what they are of', async () => {
    const path = `/v1/builds/${await submitted(farm)}`;
    const { etag = '' } = (await get(path)).headers;
    await request(farm.url).post(`${path}/cancel`).set('authorization', `Bearer ${farm.tokens.mine}`);
    const again = await get(path).set('if-none-match', etag);
    expect([again.status, again.body]).toMatchObject([200, { state: 'cancelled' }]);
  });

  it('are of what is there, for who may see it', async () => {
    const { etag = '' } = (await get(`/v1/builds/${id}`)).headers;
    for (const tag of [etag, '*']) {
      expect((await get(`/v1/builds/${id}`, farm.tokens.other).set('if-none-match', tag)).status).toBe(404);
      expect((await get(`/v1/builds/${id}`, 'kiln_nope').set('if-none-match', tag)).status).toBe(401);
      const posted = await request(farm.url)
        .post('/v1/cache/prune')
        .set('authorization', `Bearer ${farm.tokens.mine}`)
        .set('if-none-match', tag)
        .send({ dryRun: true });
      expect([posted.status, posted.headers['etag']]).toEqual([200, undefined]);
    }
  });

  it('of outputs are their digests, known without reading them', async () => {
    const content = new FolderContentStore({ root: farm.contentDir, random: systemRandom });
    const made = await submitted(farm);
    const blob = await content.put(single(systemRandom(100_000)));
    await succeeded(farm, await claimed(farm, made), [{ type: 'oci', ...blob }]);
    const path = `/v1/builds/${made}/outputs/0`;
    expect((await get(path)).headers).toMatchObject({ etag: `"${blob.digest}"`, 'accept-ranges': 'none' });
    await content.remove(new Set([blob.digest]));
    expect((await get(path).set('if-none-match', `"${blob.digest}"`)).status).toBe(304);
    expect((await get(path, farm.tokens.other).set('if-none-match', `"${blob.digest}"`)).status).toBe(404);
    expect((await get(path)).body).toMatchObject({ status: 500, code: 'BLOB_MISSING' });
  });
});

describe('every answer', () => {
  it('is what it says it is, and for no other site', async () => {
    const asked = [
      get('/v1/builds'),
      get(`/v1/builds/${id}/logs`),
      get('/nowhere'),
      get('/v1/builds?limit=x'),
      get('/v1/builds/%zz'),
      request(farm.url).get('/docs'),
      request(farm.url).get('/healthz'),
      request(farm.url).get('/v1/builds'),
      request(farm.url).post('/v1/builds').send('x').type('image/png'),
      request(farm.url).options('/v1/builds').set('access-control-request-method', 'GET'),
    ];
    for (const each of asked) {
      const { headers, status } = await each.set('origin', 'https://elsewhere.example.com');
      expect([each.url, status, headers['x-content-type-options']]).toEqual([each.url, status, 'nosniff']);
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  it('to what is no request is a problem document, too', async () => {
    const refused: readonly (readonly [string, number])[] = [
      ['nonsense\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n', 400],
      ['GET /nowhere HTTP/1.1\r\nHost: x\r\nExpect: the best\r\nConnection: close\r\n\r\n', 404],
      ['GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
      ['GET /v1/builds/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
      [`GET /v1/builds/${'x'.repeat(800)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, 404],
      ['GET /v1/builds HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n', 404],
    ];
    for (const [bytes, status] of refused) {
      const [head = '', body = ''] = (await rawAnswer(farm, bytes)).split('\r\n\r\n');
      expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(head.toLowerCase()).toContain('content-type: application/problem+json');
      expect(head.toLowerCase()).toContain('x-content-type-options: nosniff');
      expect(JSON.parse(body)).toMatchObject({ status, type: expect.stringMatching(/^urn:kiln:problem:/) as unknown });
    }
  });
});
