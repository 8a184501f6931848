import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuilderRegistry } from '#storage';
import { type Farm, figuresToken, operatorToken, startFarm, submitted } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

async function scrape() {
  return await request(farm.url).get('/metrics').set('authorization', `Bearer ${operatorToken}`);
}
const figure = (text: string, name: string): number | undefined => {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
};

describe('GET /metrics', () => {
  it('is for who has the operator’s token, and for no project', async () => {
    for (const header of [undefined, 'Bearer nope', `Bearer ${operatorToken}x`, `Basic ${operatorToken}`]) {
      const answer = await request(farm.url)
        .get('/metrics')
        .set(header === undefined ? {} : { authorization: header });
      expect([answer.status, answer.body]).toMatchObject([401, { code: 'UNAUTHENTICATED' }]);
    }
    for (const token of [farm.tokens.mine, farm.tokens.owner]) {
      const answer = await request(farm.url).get('/metrics').set('authorization', `Bearer ${token}`);
      expect([answer.status, answer.body]).toMatchObject([403, { code: 'PERMISSION_DENIED' }]);
    }
    for (const token of [operatorToken, figuresToken])
      expect((await request(farm.url).get('/metrics').set('authorization', `Bearer ${token}`)).status).toBe(200);
    const other = await request(farm.url).get('/v1/builds').set('authorization', `Bearer ${operatorToken}`);
    expect(other.status).toBe(401);
  });

  it('tells of requests by route, never by what a client wrote', async () => {
    const id = await submitted(farm);
    const asked = (path: string) => request(farm.url).get(path).set('authorization', `Bearer ${farm.tokens.mine}`);
    await asked(`/v1/builds/${id}`);
    await asked('/v1/builds/no-such-build');
    await asked('/no/such/path');
    const { status, headers, text } = await scrape();
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    const count = (labels: string) => figure(text, `kiln_http_request_duration_seconds_count{${labels}}`);
    expect(count('method="GET",route="/v1/builds/:id",status="200"')).toBe(1);
    expect(count('method="GET",route="/v1/builds/:id",status="404"')).toBe(1);
    expect(count('method="GET",route="none",status="404"')).toBeGreaterThanOrEqual(1);
    expect(text).not.toContain(id);
    expect(text).not.toContain('no-such-build');
    // This one.
    expect(figure(text, 'kiln_http_requests_open')).toBe(1);
  });

  it('tells of the farm', async () => {
    await using lone = await startFarm();
    await new BuilderRegistry(lone.db).register('b1', { slots: 3 });
    await submitted(lone);
    const ask = () => request(lone.url).get('/metrics').set('authorization', `Bearer ${operatorToken}`);
    const { text } = await ask();
    expect(figure(text, 'kiln_builds{state="queued"}')).toBe(1);
    expect(figure(text, 'kiln_builds{state="running"}')).toBe(0);
    expect(figure(text, 'kiln_builders{state="ready"}')).toBe(1);
    expect(figure(text, 'kiln_slots')).toBe(3);
    expect(figure(text, 'kiln_content_blobs')).toBeGreaterThan(0);
    expect(figure(text, 'kiln_up{part="postgres"}')).toBe(1);
    expect(figure(text, 'kiln_up{part="redis"}')).toBe(1);
  });
});

describe('GET /metrics without Postgres', () => {
  it('says so, tells nothing old of the farm, and the process’ own figures all the same', async () => {
    await using lone = await startFarm();
    await lone.postgres[Symbol.asyncDispose]();
    const { status, text } = await request(lone.url).get('/metrics').set('authorization', `Bearer ${operatorToken}`);
    expect(status).toBe(200);
    expect(figure(text, 'kiln_up{part="postgres"}')).toBe(0);
    expect(figure(text, 'kiln_builds{state="queued"}')).toBeUndefined();
    expect(text).toContain('process_resident_memory_bytes');
  });
});
