import { rename, rm, writeFile } from 'node:fs/promises';
import { type BuildEvent, BuildView } from '#protocol';
import { digestOf } from '#oci';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { claimed, type Farm, smallTar, startFarm } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

const get = (path: string) => request(farm.url).get(path).set('authorization', `Bearer ${farm.tokens.mine}`);
const submit = async () =>
  await request(farm.url)
    .post('/v1/builds')
    .set('authorization', `Bearer ${farm.tokens.mine}`)
    .field('request', '{}')
    .attach('context', await smallTar(), 'context.tar');
const ready = (): Promise<void> =>
  vi.waitFor(async () => expect((await request(farm.url).get('/readyz')).status).toBe(200), { timeout: 15_000 });

describe('outages', () => {
  it('of Postgres are 503, by name, and are over when it is back', async () => {
    await ready();
    await farm.postgres.stop();
    const readiness = await request(farm.url).get('/readyz');
    expect([readiness.status, readiness.body]).toMatchObject([503, { checks: { redis: 'ok', content: 'ok' } }]);
    expect((readiness.body as { checks: { postgres: string } }).checks.postgres).not.toBe('ok');
    expect((await request(farm.url).get('/healthz')).status).toBe(200);
    const answer = await get('/v1/builds');
    expect([answer.status, answer.body]).toMatchObject([503, { code: 'UNAVAILABLE' }]);
    expect(answer.headers['retry-after']).toBe('2');
    expect(JSON.stringify(answer.body)).not.toContain('ECONNREFUSED');
    expect((await submit()).status).toBe(503);
    await farm.postgres.start();
    await ready();
    expect((await submit()).status).toBe(202);
  });

  it('of Redis lose no build: it is accepted, followed, and queued later', async () => {
    await farm.redis.stop();
    const readiness = await request(farm.url).get('/readyz');
    expect([readiness.status, readiness.body]).toMatchObject([503, { checks: { postgres: 'ok' } }]);
    const accepted = await submit();
    expect(accepted.status).toBe(202);
    const { id } = BuildView.parse(accepted.body);
    const followed = get(`/v1/builds/${id}/logs?follow=1`).then(({ text }) => text);
    const claim = await claimed(farm, id);
    const log: BuildEvent = { type: 'log', atMs: 1, vertex: digestOf('v'), stream: 1, text: 'hello\n' };
    await farm.ledger.append(claim, [log]);
    await farm.ledger.finish(claim, { type: 'cancelled', atMs: 1, reason: 'over' });
    expect(await followed).toContain('hello');
    const waiting = BuildView.parse((await submit()).body).id;
    await farm.redis.start();
    await ready();
    const { Queue } = await import('bullmq');
    const queue = new Queue('kiln-builds', { connection: { url: farm.redis.url } });
    await vi.waitFor(async () => expect(await queue.getJob(`${waiting}.1`)).toBeDefined(), { timeout: 15_000 });
    await queue.close();
  });

  it('of the content store are told by name', async () => {
    await rename(farm.contentDir, `${farm.contentDir}.away`);
    await writeFile(farm.contentDir, 'no folder');
    const readiness = await request(farm.url).get('/readyz');
    expect([readiness.status, readiness.body]).toMatchObject([503, { checks: { postgres: 'ok', redis: 'ok' } }]);
    await rm(farm.contentDir);
    await rename(`${farm.contentDir}.away`, farm.contentDir);
    await ready();
  });

  it('the end of the process ends event streams at once', async () => {
    const { id } = BuildView.parse((await submit()).body);
    const stream = await fetch(`${farm.url}/v1/builds/${id}/logs`, {
      headers: { authorization: `Bearer ${farm.tokens.mine}`, accept: 'text/event-stream' },
    });
    const text = stream.text();
    const log: BuildEvent = { type: 'log', atMs: 1, vertex: digestOf('v'), stream: 1, text: 'hello\n' };
    await farm.ledger.append(await claimed(farm, id), [log]);
    const { body } = await fetch(`${farm.url}/v1/builds/${id}/logs?follow=1`, {
      headers: { authorization: `Bearer ${farm.tokens.mine}` },
    });
    const cut = body?.getReader();
    await cut?.read();
    const beganMs = performance.now();
    await farm.close();
    expect(performance.now() - beganMs).toBeLessThan(3_000);
    expect(await text).toContain('retry: 1000');
    // A text has no other mark of its end.
    await expect(cut?.read()).rejects.toThrow();
    await expect(fetch(`${farm.url}/healthz`)).rejects.toThrow();
  });
});
