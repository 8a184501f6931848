import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import { BuildView } from '#protocol';
import { unseal } from '#std';
import { claimed, type Farm, secretKey, smallTar, startFarm, tokenIn } from './farm.ts';
import { describeRuns } from './run-cases.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

const as = (token = farm.tokens.mine) => ({ authorization: `Bearer ${token}` });
const retry = (id: string, token?: string) => request(farm.url).post(`/v1/builds/${id}/retry`).set(as(token));

async function submit(asked: object = {}): Promise<BuildView> {
  const answer = await request(farm.url)
    .post('/v1/builds')
    .set(as())
    .field('request', JSON.stringify(asked), { contentType: 'application/json' })
    .attach('context', await smallTar(), { filename: 'context.tar' });
  return BuildView.parse(answer.body);
}

async function ended(asked?: object): Promise<BuildView> {
  const build = await submit(asked);
  const claim = await claimed(farm, build.id);
  const failure = { code: 'STEP_FAILED', message: 'exit code: 1' };
  await farm.ledger.finish(claim, { type: 'failed', atMs: 1, failure });
  return build;
}

describe('a retry', () => {
  it('is a new build of the same request and context', async () => {
    const first = await ended({ target: 'a', tags: ['acme/app:1'] });
    const answer = await retry(first.id);
    expect(answer.status).toBe(202);
    const second = BuildView.parse(answer.body);
    expect(answer.headers['location']).toBe(`/v1/builds/${second.id}`);
    expect(second).toMatchObject({
      state: 'queued',
      retryOf: first.id,
      request: first.request,
      context: first.context,
    });
    expect(second.id).not.toBe(first.id);
    expect((await claimed(farm, second.id)).context.digest).toBe(first.context.digest);
  });

  it('is not, and a cancellation neither, for who is trusted less', async () => {
    const fork = await tokenIn(farm, 'pr', 'fork');
    const { id } = await ended();
    const running = (await submit()).id;
    expect((await retry(id, fork)).body).toMatchObject({ status: 403, code: 'PERMISSION_DENIED' });
    for (const [token, status] of [
      [fork, 403],
      [farm.tokens.builder, 202],
    ] as const)
      expect((await request(farm.url).post(`/v1/builds/${running}/cancel`).set(as(token))).status).toBe(status);
  });

  it('stays in the scope of what it repeats, whoever asks', async () => {
    const fork = await tokenIn(farm, 'pr-8', 'fork');
    const answer = await request(farm.url)
      .post('/v1/builds')
      .set(as(fork))
      .field('request', '{}')
      .attach('context', await smallTar(), { filename: 'context.tar' });
    const { id, scope } = BuildView.parse(answer.body);
    await farm.ledger.finish(await claimed(farm, id), { type: 'cancelled', atMs: 1, reason: 'test' });
    expect((await retry(id)).body).toMatchObject({ retryOf: id, scope });
    expect(scope).toBe('pr-8');
  });

  it('honours an idempotency key', async () => {
    const [a, b] = [await ended(), await ended()];
    const once = await retry(a.id).set('idempotency-key', 'again');
    const twice = await retry(a.id).set('idempotency-key', 'again');
    expect(BuildView.parse(twice.body).id).toBe(BuildView.parse(once.body).id);
    expect((await retry(b.id).set('idempotency-key', 'again')).status).toBe(409);
    expect((await retry(a.id).set('idempotency-key', 'a b')).status).toBe(400);
  });

  it('waits for the end of the first', async () => {
    const { id } = await submit();
    expect((await retry(id)).body).toMatchObject({ status: 409, code: 'CONFLICT' });
  });

  it('needs anew what is gone with the end, and says its name', async () => {
    const secrets = { token: Buffer.from('s3cret').toString('base64') };
    const credentials = { 'r.example.com': { username: 'me', password: 'hunter2' } };
    const { id, request: stored } = await ended({ secrets, credentials });
    expect(stored).toMatchObject({ secretIds: ['token'], credentialHosts: ['r.example.com'] });
    const bare = await retry(id);
    expect(bare.body).toMatchObject({
      status: 409,
      field: 'secrets',
      detail: expect.stringContaining('token') as string,
    });
    expect((await retry(id).send({ secrets })).body).toMatchObject({
      field: 'credentials',
      detail: expect.stringContaining('r.example.com') as string,
      hint: expect.stringContaining('submit the build again') as string,
    });
    const answer = await retry(id).send({ secrets, credentials });
    expect(answer.status).toBe(202);
    expect(answer.text).not.toContain('hunter2');
    const again = BuildView.parse(answer.body);
    const { sealed } = await claimed(farm, again.id);
    const opened = unseal(Buffer.from(secretKey, 'hex'), `build:${again.id}`, sealed ?? Buffer.of());
    expect(JSON.parse(opened.toString())).toEqual({ credentials, secrets });
  });

  it('is refused to others', async () => {
    const { id } = await ended();
    expect((await retry(id).send({ nonsense: 1 })).status).toBe(400);
    expect((await retry(id, farm.tokens.other)).status).toBe(404);
    expect((await retry(id, farm.tokens.reader)).status).toBe(403);
    expect((await request(farm.url).post(`/v1/builds/${id}/retry`)).status).toBe(401);
    expect((await retry('nobody')).status).toBe(404);
  });

  it('says so when the context is gone', async () => {
    const { id } = await ended();
    expect((await retry(id)).status).toBe(202);
    await farm.db.execute('DELETE FROM contexts');
    const answer = await retry(id);
    expect(answer.body).toMatchObject({ status: 409, code: 'CONFLICT', hint: 'submit the build again' });
  });

  it('stays accepted when it is asked for again, whatever has gone since', async () => {
    const { id } = await ended();
    const once = await retry(id).set('idempotency-key', 'for-ever');
    await farm.db.execute('DELETE FROM contexts');
    const twice = await retry(id).set('idempotency-key', 'for-ever');
    expect([twice.status, twice.body]).toMatchObject([202, { id: BuildView.parse(once.body).id }]);
  });

  it('keeps the files of its context from being collected', async () => {
    const { id } = await ended();
    await farm.db.execute("UPDATE blobs SET kept_at = now() - interval '10 days'");
    expect((await retry(id)).status).toBe(202);
    const files = ['FROM scratch\n', 'console.log(1)\n'].map((text) => `'${digestOf(text)}'`).join(', ');
    const kept = `SELECT 1 FROM blobs WHERE kept_at > now() - interval '1 day' AND digest IN (${files})`;
    expect(await farm.db.execute(kept)).toBe(2);
  });
});

describeRuns(() => farm);
