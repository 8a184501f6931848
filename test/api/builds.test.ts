import { writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FolderContentStore } from '#content';
import { digestOf, hexOf } from '#oci';
import { type BuildEvent, type LogSearch, BuilderList, BuildView, NumberedEvent } from '#protocol';
import { single, systemRandom } from '#std';
import { BuilderRegistry } from '#storage';
import { flushRedis } from '#testing';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { claimed, type Farm, figuresToken, operatorToken, smallTar, startFarm, succeeded } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

const get = (path: string, token = farm.tokens.mine) =>
  request(farm.url).get(path).set('authorization', `Bearer ${token}`);
const cancel = (id: string) =>
  request(farm.url).post(`/v1/builds/${id}/cancel`).set('authorization', `Bearer ${farm.tokens.mine}`);

async function submitted(): Promise<string> {
  const answer = await request(farm.url)
    .post('/v1/builds')
    .set('authorization', `Bearer ${farm.tokens.mine}`)
    .field('request', '{}')
    .attach('context', await smallTar(), 'context.tar');
  return BuildView.parse(answer.body).id;
}

const vertex = digestOf('v');
const log = (text: string): BuildEvent => ({ type: 'log', atMs: 1, vertex, stream: 1, text });
const cancelled = { type: 'cancelled', atMs: 9, reason: 'test' } as const;

interface Read {
  readonly ids: readonly number[];
  readonly text: string;
}

/** Reads server-sent events until they end, or until `enough` have come. */
async function readEvents(path: string, headers: Record<string, string> = {}, enough = Infinity): Promise<Read> {
  const leave = new AbortController();
  const answer = await fetch(`${farm.url}${path}`, {
    headers: { authorization: `Bearer ${farm.tokens.mine}`, accept: 'text/event-stream', ...headers },
    signal: leave.signal,
  });
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  let text = '';
  const decoder = new TextDecoder();
  const ids = (): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (ids().length >= enough) break;
  }
  leave.abort();
  return { ids: ids(), text };
}

describe('access', () => {
  it('needs a bearer token on every route', async () => {
    const paths = ['/v1/builds', '/v1/builds/x', '/v1/builds/x/steps', '/v1/builds/x/logs', '/v1/builds/x/outputs/0'];
    for (const path of paths) {
      for (const header of [undefined, 'Bearer', 'Bearer kiln_nope', `Basic ${farm.tokens.mine}`]) {
        const asked = request(farm.url).get(path);
        const answer = await (header === undefined ? asked : asked.set('authorization', header));
        expect([path, answer.status, answer.body]).toMatchObject([path, 401, { code: 'UNAUTHENTICATED' }]);
        expect(answer.headers['www-authenticate']).toBe('Bearer');
      }
    }
    expect((await request(farm.url).post('/v1/builds')).status).toBe(401);
    expect((await request(farm.url).post('/v1/builds/x/cancel')).status).toBe(401);
  });

  it('answers 404 for builds of other projects, as for builds that are not', async () => {
    const id = await submitted();
    expect((await get(`/v1/builds/${id}`, farm.tokens.reader)).status).toBe(200);
    for (const path of ['', '/steps', '/logs', '/logs?follow=1', '/outputs/0']) {
      const other = await get(`/v1/builds/${id}${path}`, farm.tokens.other);
      const absent = await get(`/v1/builds/nothing${path}`, farm.tokens.other);
      expect([other.status, absent.status]).toEqual([404, 404]);
      expect(JSON.stringify(other.body).replaceAll(id, 'nothing')).toBe(JSON.stringify(absent.body));
    }
    const theirs = await request(farm.url)
      .post(`/v1/builds/${id}/cancel`)
      .set('authorization', `Bearer ${farm.tokens.other}`);
    expect(theirs.status).toBe(404);
    expect((await get('/v1/builds', farm.tokens.other)).body).toEqual({ builds: [], next: null });
    expect((await get(`/v1/builds/${id}`)).body).toMatchObject({ state: 'queued' });
  });

  it('tells nothing of itself to those who ask for what is not there', async () => {
    const answer = await request(farm.url).get('/nowhere');
    expect([answer.status, answer.body]).toMatchObject([404, { code: 'NOT_FOUND', status: 404 }]);
  });
});

describe('lists', () => {
  it('come in pages', async () => {
    const made = [await submitted(), await submitted(), await submitted()];
    const first = await get('/v1/builds?limit=2');
    const second = await get(`/v1/builds?limit=2&cursor=${(first.body as { next: string }).next}`);
    const ids = [first, second].flatMap(({ body }) =>
      (body as { builds: { id: string }[] }).builds.map(({ id }) => id),
    );
    expect(ids.slice(0, 3)).toEqual(made.reverse());
    expect((await get('/v1/builds?limit=0')).body).toMatchObject({ status: 400, field: 'limit' });
  });

  it('hold what is asked for', async () => {
    const [ended, waiting] = [await submitted(), await submitted()];
    await cancel(ended);
    const idsOf = async (query: string): Promise<readonly string[]> =>
      ((await get(`/v1/builds?${query}`)).body as { builds: { id: string }[] }).builds.map(({ id }) => id);
    expect(await idsOf('state=queued')).toContain(waiting);
    expect(await idsOf('state=queued')).not.toContain(ended);
    expect(await idsOf('state=cancelled&state=queued')).toEqual(expect.arrayContaining([ended, waiting]));
    expect(await idsOf('scope=nowhere')).toEqual([]);
    for (const [field, query] of [
      ['state[0]', 'state=lost'],
      ['image[0]', 'image=A//b'],
      ['since', 'since=yesterday'],
      ['until', 'until=2026-01-31'],
    ])
      expect((await get(`/v1/builds?${query}`)).body).toMatchObject({ status: 400, field });
  });
});

describe('cancelling', () => {
  it('ends what is queued', async () => {
    const id = await submitted();
    const answer = await cancel(id);
    expect([answer.status, answer.body]).toMatchObject([202, { state: 'cancelled' }]);
    expect((await cancel(id)).status).toBe(202);
  });

  it('tells the builder of what is running', async () => {
    const id = await submitted();
    const claim = await claimed(farm, id);
    expect((await cancel(id)).body).toMatchObject({ state: 'running' });
    expect(await farm.ledger.heartbeat(claim)).toEqual({ cancelReason: 'cancelled on request' });
  });
});

describe('builders', () => {
  it('are listed while they are heard of, with what they do for the own project', async () => {
    const registry = new BuilderRegistry(farm.db);
    await registry.register('builder', { slots: 4, platforms: ['linux/amd64'], emulated: ['linux/arm64'] });
    await registry.register('silent');
    await farm.db.execute("UPDATE builders SET heartbeat_at = now() - interval '1 hour' WHERE id = 'silent'");
    const listed = async (token?: string) => BuilderList.parse((await get('/v1/builders', token)).body).builders;
    const before = await listed();
    expect(before).toMatchObject([{ id: 'builder', state: 'ready', slots: 4, platforms: ['linux/amd64'] }]);
    const claim = await claimed(farm, await submitted());
    expect((await listed())[0]?.running).toBe((before[0]?.running ?? 0) + 1);
    expect((await listed(farm.tokens.other))[0]?.running).toBe(0);
    await farm.ledger.finish(claim, cancelled);
  });

  it('are drained and undrained by the operator alone, and say so', async () => {
    const registry = new BuilderRegistry(farm.db);
    for (const id of ['going', 'staying']) await registry.register(id, { platforms: ['linux/arm64'] });
    const path = '/v1/builders/going/drain';
    const ask = (method: 'post' | 'delete', token: string, at = path) =>
      request(farm.url)[method](at).set('authorization', `Bearer ${token}`);
    for (const token of [farm.tokens.mine, farm.tokens.owner])
      expect((await ask('post', token)).body).toMatchObject({ status: 403, code: 'PERMISSION_DENIED' });
    expect((await ask('post', figuresToken)).status).toBe(401);
    expect((await ask('post', operatorToken, '/v1/builders/nobody/drain')).status).toBe(404);
    const running = await farm.ledger.claim(await submitted(), 1, 'going');
    if (running === null) throw new Error('not claimed');
    expect((await ask('post', operatorToken)).body).toMatchObject({ id: 'going', state: 'draining', running: 1 });
    const next = await submitted();
    expect(await farm.ledger.claim(next, 1, 'going')).toBeNull();
    expect(await registry.heartbeat('going', 'ready')).toMatchObject({ mayTake: false });
    // A new process of it, too.
    expect(await registry.register('going', { platforms: ['linux/arm64'] })).toMatchObject({ mayTake: false });
    expect(await registry.fittest('linux/arm64', 60_000)).toBe('staying');
    await farm.ledger.finish(running, cancelled);
    const states = BuilderList.parse((await get('/v1/builders')).body).builders.map(({ id, state }) => [id, state]);
    expect(Object.fromEntries(states)).toMatchObject({ going: 'drained', staying: 'ready' });
    expect((await ask('delete', operatorToken)).body).toMatchObject({ state: 'ready', running: 0 });
    const claim = await farm.ledger.claim(next, 1, 'going');
    if (claim === null) throw new Error('not claimed');
    await farm.ledger.finish(claim, cancelled);
  });
});

/** What the process has in memory that is not garbage. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('events', () => {
  it('come numbered while they happen, from any number on, to the final one', async () => {
    const id = await submitted();
    const path = `/v1/builds/${id}/logs`;
    const early = readEvents(path);
    const claim = await claimed(farm, id);
    await farm.ledger.append(claim, [log('one\n'), log('two\n')]);
    expect((await readEvents(path, {}, 2)).ids).toEqual([1, 2]);
    const resumed = readEvents(path, { 'last-event-id': '1' });
    const after = readEvents(`${path}?after=2`);
    await farm.ledger.append(claim, [log('three\n')]);
    await farm.ledger.finish(claim, cancelled);
    expect((await early).ids).toEqual([1, 2, 3, 4]);
    expect((await resumed).ids).toEqual([2, 3, 4]);
    expect((await after).ids).toEqual([3, 4]);
    expect((await readEvents(path, { 'last-event-id': '4' })).ids).toEqual([]);
    expect((await early).text).toContain(`event: log\ndata: ${JSON.stringify(log('one\n'))}\n\n`);
    expect((await get(path).set('accept', 'text/event-stream').set('last-event-id', 'x')).body).toMatchObject({
      status: 400,
      field: 'Last-Event-ID',
    });
  });

  it('come as text, so far or to the end', async () => {
    const id = await submitted();
    const claim = await claimed(farm, id);
    const planned = { vertex, name: '[2/2] RUN make', stage: 's', line: 2, step: true, inputs: [] };
    await farm.ledger.append(claim, [
      { type: 'planned', atMs: 1, vertices: [planned] },
      { type: 'vertexStarted', atMs: 1, vertex },
      log('one\ntw'),
    ]);
    expect((await get(`/v1/builds/${id}/logs`)).text).toBe('#1 [2/2] RUN make\n#1 one\n');
    const following = get(`/v1/builds/${id}/logs?follow=1`).then(({ text }) => text);
    await farm.ledger.append(claim, [
      log('o\n'),
      { type: 'vertexDone', atMs: 2, vertex, outcome: 'run', durationMs: 1200 },
    ]);
    await farm.ledger.finish(claim, cancelled);
    expect(await following).toBe('#1 [2/2] RUN make\n#1 one\n#1 two\n#1 DONE 1.2s\nCANCELLED: test\n');
    expect((await get(`/v1/builds/${id}/steps`)).body).toMatchObject({
      steps: [{ name: '[2/2] RUN make', state: 'run' }],
    });
  });

  it('are searched by lines, with bounded answers', async () => {
    const id = await submitted();
    const claim = await claimed(farm, id);
    const long = `${'x'.repeat(2_000)}NEEDLE${'y'.repeat(2_000)}`;
    const coloured = '\u001b[1m\u001b[31mthree Nee\u001b[0mdle';
    await farm.ledger.append(claim, [log('one needle\ntw'), log(`o\n${coloured}\n${long}\nfour\nneedle`)]);
    const search = async (query: string) => (await get(`/v1/builds/${id}/logs/search?${query}`)).body as LogSearch;
    const first = await search('text=needle&limit=2');
    expect(first).toMatchObject({ next: 3, matches: [{ line: 1 }, { line: 3, text: 'three Needle' }] });
    const rest = await search('text=needle&after=3');
    expect(rest).toMatchObject({ next: null, lines: 5, matches: [{ line: 4 }] });
    expect(rest.matches[0]?.text).toContain('NEEDLE');
    expect(rest.matches[0]?.text).toHaveLength(500);
    await farm.ledger.finish(claim, cancelled);
    expect(await search('text=needle&after=4')).toMatchObject({ lines: 6, matches: [{ line: 6, text: 'needle' }] });
    expect(await search('text=31m')).toMatchObject({ matches: [] });
    expect((await get(`/v1/builds/${id}/logs/search?text=`)).body).toMatchObject({ status: 400, field: 'text' });
    const others = await get(`/v1/builds/${id}/logs/search?text=x`).set('authorization', `Bearer ${farm.tokens.other}`);
    expect(others.status).toBe(404);
  });

  it('come of one step alone, and as lines of JSON, so far or to the end', async () => {
    const id = await submitted();
    const claim = await claimed(farm, id);
    const other = digestOf('w');
    const vertices = [vertex, other].map((each, at) => ({
      ...{ vertex: each, name: `[build ${at + 1}/2] RUN ${at}`, stage: 'build' },
      ...{ line: at, step: true, inputs: [] },
    }));
    const events: BuildEvent[] = [
      { type: 'planned', atMs: 1, vertices },
      { type: 'vertexStarted', atMs: 1, vertex },
      { type: 'vertexStarted', atMs: 1, vertex: other },
      log('one\n'),
      { type: 'log', atMs: 1, vertex: other, stream: 1, text: 'of the other\n' },
    ];
    await farm.ledger.append(claim, events);
    const path = `/v1/builds/${id}/logs`;
    const lines = ({ text }: request.Response) => text.split('\n').slice(0, -1);
    const jsonl = (query: string) => get(`${path}${query}`).set('accept', 'application/jsonl').buffer(true);
    expect((await get(`${path}?step=2`)).text).toBe('#1 [build 2/2] RUN 1\n#1 of the other\n');
    const all = await jsonl('');
    expect(all.headers['content-type']).toContain('application/jsonl');
    expect(lines(all).map((line) => NumberedEvent.parse(JSON.parse(line)))).toEqual(
      events.map((event, at) => ({ seq: at + 1, event })),
    );
    expect(lines(await jsonl('?after=4'))).toHaveLength(1);
    expect(lines(await jsonl('?step=build:1')).map((line) => NumberedEvent.parse(JSON.parse(line)).seq)).toEqual([
      1, 2, 4,
    ]);
    const followed = get(`${path}?step=build:1&follow=true`).then(({ text }) => text);
    const live = readEvents(`${path}?step=1`);
    await farm.ledger.append(claim, [
      { type: 'vertexDone', atMs: 2, vertex, outcome: 'run', durationMs: 1200 },
      log('late'),
    ]);
    // The build goes on, the step does not.
    expect(await followed).toBe('#1 [build 1/2] RUN 0\n#1 one\n#1 DONE 1.2s\n');
    expect((await live).ids).toEqual([1, 2, 4, 6]);
    expect((await get(`${path}?step=7`)).body).toMatchObject({
      status: 400,
      field: 'step',
      hint: 'there are: build:1, build:2',
    });
    expect((await get(`${path}?step=1`, farm.tokens.other)).status).toBe(404);
  });

  it('are held back by a reader that does not read, and freed when it leaves', async () => {
    const id = await submitted();
    const claim = await claimed(farm, id);
    for (let batch = 0; batch < 40; batch++) {
      await farm.ledger.append(
        claim,
        Array.from({ length: 32 }, () => log('x'.repeat(32 * 1024))),
      );
    }
    const before = heldBytes();
    const leave = new AbortController();
    const sockets = new Set<Socket>();
    const server = farm.app.getHttpServer();
    server.on('request', ({ socket }: { readonly socket: Socket }) => sockets.add(socket));
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        fetch(`${farm.url}/v1/builds/${id}/logs`, {
          headers: { authorization: `Bearer ${farm.tokens.mine}`, accept: 'text/event-stream' },
          signal: leave.signal,
        }),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    // Eight readers of 40 MiB each, none of whom reads: neither their sockets have it nor the memory.
    for (const { bytesWritten, writableLength } of sockets) {
      expect(bytesWritten).toBeLessThan(20 * 1024 * 1024);
      expect(writableLength).toBeLessThan(1024 * 1024);
    }
    expect(heldBytes() - before).toBeLessThan(128 * 1024 * 1024);
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect([...sockets].map((socket) => socket.destroyed)).toEqual(Array(8).fill(false));
    leave.abort();
    await vi.waitFor(() => expect([...sockets].filter((socket) => !socket.destroyed)).toEqual([]), { timeout: 5_000 });
  });
});

describe('outputs', () => {
  it('are streamed, whole or not at all', async () => {
    const content = new FolderContentStore({ root: farm.contentDir, random: systemRandom });
    const bytes = systemRandom(300_000);
    const [whole, lost, damaged] = [bytes, bytes.subarray(1), bytes.subarray(2)];
    const outputs = [];
    for (const each of [whole, lost, damaged]) {
      outputs.push({ type: 'oci' as const, ...(await content.put(single(each))) });
    }
    await content.remove(new Set([digestOf(lost)]));
    const hex = hexOf(digestOf(damaged));
    await writeFile(join(farm.contentDir, 'sha256', hex.slice(0, 2), hex), Buffer.from(damaged).fill(0, 0, 9));
    const id = await submitted();
    const claim = await claimed(farm, id);
    expect((await get(`/v1/builds/${id}/outputs/0`)).body).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    await succeeded(farm, claim, outputs);
    const fetched = (n: number): Promise<Response> =>
      fetch(`${farm.url}/v1/builds/${id}/outputs/${n}`, { headers: { authorization: `Bearer ${farm.tokens.mine}` } });
    const answer = await fetched(0);
    expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(whole.byteLength)]);
    expect(digestOf(Buffer.from(await answer.arrayBuffer()))).toBe(digestOf(whole));
    expect((await get(`/v1/builds/${id}/outputs/1`)).body).toMatchObject({ status: 500, code: 'BLOB_MISSING' });
    const broken = await fetched(2);
    await expect(broken.arrayBuffer()).rejects.toThrow();
    expect((await get(`/v1/builds/${id}/outputs/3`)).status).toBe(404);
    expect((await get(`/v1/builds/${id}/outputs/x`)).body).toMatchObject({ status: 400, field: 'n' });
  });
});

describe('the queue', () => {
  it('gets back what Redis forgot', async () => {
    const { Queue } = await import('bullmq');
    const queue = new Queue('kiln-builds', { connection: { url: farm.redis.url } });
    const id = await submitted();
    await vi.waitFor(async () => expect(await queue.getJob(`${id}.1`)).toBeDefined());
    await flushRedis(farm.redis);
    expect(await queue.getJob(`${id}.1`)).toBeUndefined();
    await vi.waitFor(async () => expect(await queue.getJob(`${id}.1`)).toBeDefined(), {
      timeout: 10_000,
      interval: 100,
    });
    await queue.close();
  });

  it('gets the next attempt of a build whose builder went silent', async () => {
    const { Queue } = await import('bullmq');
    const queue = new Queue('kiln-builds', { connection: { url: farm.redis.url } });
    const id = await submitted();
    await claimed(farm, id);
    await farm.db.execute("UPDATE builds SET heartbeat_at = now() - interval '1 hour' WHERE id = $1", [id]);
    await vi.waitFor(async () => expect(await queue.getJob(`${id}.2`)).toBeDefined(), {
      timeout: 20_000,
      interval: 100,
    });
    expect((await get(`/v1/builds/${id}`)).body).toMatchObject({ state: 'queued', attempt: 2 });
    await queue.close();
  });
});

describe('docker’s client', () => {
  const build = async () => {
    const answer = await fetch(`${farm.url}/v1.41/build?t=the-daemons:1`, {
      method: 'POST',
      headers: { authorization: `Bearer ${farm.tokens.mine}`, 'content-type': 'application/x-tar' },
      body: Uint8Array.from(await smallTar()),
    });
    return { answer, id: answer.headers.get('x-kiln-build') ?? 'none' };
  };

  it('is answered while its build is queued, by the status that a daemon has: libraries take no other', async () => {
    const { answer, id } = await build();
    expect(answer.status).toBe(200);
    await cancel(id).expect(202);
    expect(await answer.text()).toMatch(/^\r\n\{"errorDetail":.*the build was cancelled/);
    const wrong = await fetch(`${farm.url}/v1.41/build?t=UPPER`, {
      method: 'POST',
      headers: { authorization: `Bearer ${farm.tokens.mine}` },
    });
    expect([wrong.status, await wrong.json()]).toEqual([400, { message: expect.stringContaining('tags') as unknown }]);
  });

  it('is told all that a step wrote before its turn', async () => {
    const { answer, id } = await build();
    const claim = await claimed(farm, id);
    const [one, two] = [digestOf('one'), digestOf('two')];
    const instructions = [one, two].map((step, line) => ({ line, text: `RUN ${line}`, stage: 0, vertex: step }));
    const pieces = Array.from({ length: 6 }, (_, n) => `${n}${'.'.repeat(1e6)}\n`);
    const atMs = 1;
    await farm.ledger.append(claim, [
      { type: 'planned', atMs, vertices: [], instructions },
      ...[one, two].map((step) => ({ type: 'vertexStarted' as const, atMs, vertex: step })),
    ]);
    for (const text of pieces)
      await farm.ledger.append(claim, [{ type: 'log', atMs, vertex: two, stream: 1, text }, log('of another\n')]);
    await farm.ledger.append(
      claim,
      [one, two].flatMap((step, instruction) => [
        { type: 'vertexDone' as const, atMs, vertex: step, outcome: 'run' as const, durationMs: 1 },
        { type: 'intermediate' as const, atMs, instruction, id: step },
      ]),
    );
    await farm.ledger.finish(claim, cancelled);
    const said = (await answer.text())
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => z.object({ stream: z.string().default('') }).parse(JSON.parse(line)).stream)
      .join('');
    expect(said.match(/^\d(?=\.)/gm)?.join('')).toBe('012345');
    expect(said).not.toContain('of another');
    expect(said).toMatch(/\nRemoving intermediate container \w+\n ---> \w+\n$/);
  });

  it('pushes with -a all tags of a repository, however many images have them', async () => {
    await submitted();
    const digits = '0'.repeat(60);
    const content = {
      descriptor: { mediaType: 'x', digest: digestOf('x'), size: 1 },
      createdAt: '2026-01-01T00:00:00Z',
    };
    const variant = { platform: { os: 'linux', architecture: 'amd64' }, digest: digestOf('x'), id: digestOf('y') };
    const image = JSON.stringify({ ...content, variants: [{ ...variant, sizeBytes: 1, history: [] }] });
    await farm.db.execute(
      `WITH made AS (INSERT INTO images (project_id, scope_id, digest, id, kept, image, build_id)
         SELECT s.project_id, s.id, 'sha256:' || $1 || lpad(n::text, 4, '0'), 'sha256:' || $1 || lpad(n::text, 4, '0'), true, $2::json, 'b'
         FROM (SELECT project_id, scope_id AS id FROM builds ORDER BY created_at DESC LIMIT 1) s, generate_series(1, 120) n
         RETURNING project_id, scope_id, digest)
       SELECT * FROM made`,
      [digits, image],
    );
    await farm.db.execute(
      "INSERT INTO image_names SELECT project_id, scope_id, 'registry.test/many:' || number, digest FROM images",
    );
    const leave = new AbortController();
    const answer = await fetch(`${farm.url}/v1.41/images/registry.test/many/push`, {
      method: 'POST',
      headers: { authorization: `Bearer ${farm.tokens.mine}` },
      signal: leave.signal,
    });
    expect(answer.status).toBe(200);
    leave.abort();
    const pushes = await farm.db.query(
      z.object({ tag: z.string() }),
      "SELECT request->'tags'->>0 AS tag FROM builds WHERE request->>'call' = 'push'",
    );
    expect(new Set(pushes.map(({ tag }) => tag)).size).toBe(120);
  });
});
