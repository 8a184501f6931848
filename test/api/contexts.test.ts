import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { TreeEntry } from '#content';
import { encodeManifest, makeManifest } from '#context';
import { type Digest, digestOf, hexOf } from '#oci';
import { BuildView, CONTEXT_MANIFEST_TYPE, ContextView, MissingBlobs } from '#protocol';
import request from 'supertest';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimed, type Farm, smallTar, startFarm, tar } from './farm.ts';

const MAX_BYTES = 1024 * 1024;

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm({ KILN_CONTEXT_MAX_BYTES: String(MAX_BYTES), KILN_CONTEXT_MAX_FILES: '10' });
});
afterAll(() => farm[Symbol.asyncDispose]());

const as = (token: string, asked: request.Test): request.Test => asked.set('authorization', `Bearer ${token}`);
const file = (path: string, text: string, more: object = {}): TreeEntry => ({
  ...{ path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0 },
  ...{ size: Buffer.byteLength(text), digest: digestOf(text) },
  ...more,
});
const manifestOf = (...entries: readonly TreeEntry[]): Buffer => encodeManifest(makeManifest(entries));
const take = (manifest: Buffer, token = farm.tokens.mine): request.Test =>
  as(token, request(farm.url).post('/v1/contexts')).type(CONTEXT_MANIFEST_TYPE).send(manifest);
const put = (digest: string, bytes: Buffer, token = farm.tokens.mine): request.Test =>
  as(token, request(farm.url).put(`/v1/blobs/${digest}`))
    .type('application/octet-stream')
    .send(bytes);
const join = (digest: string, parts: readonly string[], token = farm.tokens.mine): request.Test =>
  as(token, request(farm.url).put(`/v1/blobs/${digest}`)).send({ parts });
const packs = (archive: Buffer, token = farm.tokens.mine): request.Test =>
  as(token, request(farm.url).post('/v1/blobs')).type('application/x-tar').send(archive);
const missing = async (digests: readonly Digest[], token = farm.tokens.mine): Promise<readonly Digest[]> =>
  MissingBlobs.parse((await as(token, request(farm.url).post('/v1/blobs/missing')).send({ digests })).body).missing;
const submit = (body: object, token = farm.tokens.mine): request.Test =>
  as(token, request(farm.url).post('/v1/builds')).send(body);

describe('a project whose clients have sent all that it may have', () => {
  let full: Farm;
  beforeAll(async () => {
    full = await startFarm({ KILN_SENT_PROJECT_MIB: '1' });
  });
  afterAll(() => full[Symbol.asyncDispose]());
  const KIB = 1024;
  const bytesOf = (seed: string, kib: number): Buffer => Buffer.alloc(kib * KIB, `${seed} `);
  const ask = (token: string, asked: request.Test): request.Test => asked.set('authorization', `Bearer ${token}`);
  const send = (bytes: Buffer, token = full.tokens.mine): request.Test =>
    ask(token, request(full.url).put(`/v1/blobs/${digestOf(bytes)}`))
      .type('application/octet-stream')
      .send(bytes);
  const archive = (seed: string, kib: number): Promise<Buffer> =>
    tar((entries) => {
      for (let at = 0; at < 8; at++) entries.entry({ name: `f${at}` }, bytesOf(`${seed}${at}`, kib / 8));
    });
  const build = (bytes: Buffer): request.Test =>
    ask(full.tokens.mine, request(full.url).post('/v1/builds')).type('application/x-tar').send(bytes);
  const sizes = z.object({ sent: z.string(), stored: z.string() });
  const sums = async (): Promise<{ readonly sent: number; readonly stored: number }> => {
    const [row] = await full.db.query(
      sizes,
      `SELECT (SELECT coalesce(sum(bytes), 0) FROM sent_totals)::text AS sent,
         (SELECT coalesce(sum(size_bytes), 0) FROM blobs)::text AS stored`,
    );
    return { sent: Number(row?.sent), stored: Number(row?.stored) };
  };
  const refusal = {
    code: 'LIMIT_EXCEEDED',
    status: 413,
    hint: expect.stringContaining('KILN_SENT_PROJECT_MIB') as string,
  };

  it('is refused more, before it is stored, and goes on with what is there', async () => {
    expect((await send(bytesOf('a', 700))).status).toBe(200);
    const before = await sums();
    expect((await send(bytesOf('b', 400))).body).toMatchObject(refusal);
    expect(await sums()).toEqual(before);
    // What is refused in the middle counts, so that nobody fills the store with archives that are refused.
    expect((await build(await archive('c', 800))).body).toMatchObject(refusal);
    const after = await sums();
    expect(after.sent).toBeGreaterThan(before.sent);
    expect(after.sent).toBeLessThanOrEqual(KIB * KIB);
    expect(after.stored).toBe(before.stored);
    expect((await send(bytesOf('d', 400), full.tokens.other)).status).toBe(200);
    await full.db.execute(`UPDATE sent_totals SET bytes = ${KIB * KIB}`);
    const manifest = manifestOf(file('a', '', { size: 700 * KIB, digest: digestOf(bytesOf('a', 700)) }));
    const taken = ask(full.tokens.mine, request(full.url).post('/v1/contexts')).type(CONTEXT_MANIFEST_TYPE);
    const { digest, missing: lacking } = ContextView.parse((await taken.send(manifest)).body);
    expect(lacking).toEqual([]);
    const built = await ask(full.tokens.mine, request(full.url).post('/v1/builds')).send({
      request: {},
      contexts: { context: { digest } },
    });
    expect(built.status).toBe(202);
  });

  it('sends an archive of files that it has sent before, and no new one', async () => {
    await full.db.execute('TRUNCATE sent_blobs, sent_totals');
    const same = await archive('same', 900);
    expect((await build(same)).status).toBe(202);
    const { sent } = await sums();
    expect((await build(same)).status).toBe(202);
    const renamed = await tar((entries) => {
      entries.entry({ name: 'large' }, bytesOf('same0', 900 / 8));
      for (let at = 0; at < 8; at++) entries.entry({ name: `again${at}` }, bytesOf(`same${at}`, 900 / 8));
    });
    expect((await build(renamed)).status).toBe(202);
    // Over the quota by now: manifests still have room.
    await full.db.execute(`UPDATE sent_totals SET bytes = ${KIB * KIB + 1}`);
    expect((await build(renamed)).status).toBe(202);
    expect((await send(bytesOf('same0', 900 / 8))).status).toBe(200);
    const one = await tar((entries) => void entries.entry({ name: 'new' }, 'new\n'));
    expect((await build(one)).body).toMatchObject(refusal);
    expect(sent).toBeGreaterThan(900 * KIB);
  });

  it('has what it is refused for other reasons counted, too', async () => {
    await full.db.execute('TRUNCATE sent_blobs, sent_totals');
    const asked = ask(full.tokens.mine, request(full.url).post('/v1/builds'))
      .field('request', '{}')
      .attach('context', await archive('with', 400), 'context.tar')
      .attach('context:nobody-asked', await archive('without', 8), 'context.tar');
    expect((await asked).status).toBe(400);
    const { sent } = await sums();
    expect(sent).toBeGreaterThanOrEqual(400 * KIB);
    const pack = ask(full.tokens.mine, request(full.url).post('/v1/blobs')).type('application/x-tar');
    expect((await pack.send(await archive('pack', 80))).body).toMatchObject({ code: 'CONTEXT_INVALID' });
    expect((await sums()).sent).toBe(sent + 80 * KIB);
  });

  it('goes over by no more than what is on its way at one moment', async () => {
    await full.db.execute('TRUNCATE sent_blobs, sent_totals');
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) => send(bytesOf(`at once ${at}`, 300)).then(({ status }) => status)),
    );
    expect(answers.every((status) => status === 200 || status === 413)).toBe(true);
    expect((await sums()).sent).toBeLessThanOrEqual((1024 + 8 * 300) * KIB);
    const more = [];
    for (let at = 0; at < 6; at++) more.push((await send(bytesOf(`then ${at}`, 300))).status);
    expect(more.filter((status) => status === 200).length).toBeLessThanOrEqual(3);
    expect(more.at(-1)).toBe(413);
  });
});

describe('a context by its manifest', () => {
  it('answers with what the project has not, and is built of by its digest', async () => {
    const manifest = manifestOf(file('a', 'by manifest a'), file('b', 'by manifest b'), file('c', 'by manifest a'));
    const first = ContextView.parse((await take(manifest)).body);
    const [a, b] = [digestOf('by manifest a'), digestOf('by manifest b')];
    expect(first).toEqual({ digest: digestOf(manifest), files: 3, sizeBytes: 39, missing: [a, b] });
    expect((await put(a, Buffer.from('by manifest a'))).body).toEqual({ digest: a, sizeBytes: 13 });
    expect((await take(gzipSync(manifest))).body).toEqual({ ...first, missing: [b] });
    const answer = await submit({ request: {}, contexts: { context: { digest: first.digest, sentBytes: 7 } } });
    expect(answer.status).toBe(202);
    const build = BuildView.parse(answer.body);
    expect(build.context).toEqual({ digest: first.digest, files: 3, sizeBytes: 39 });
    expect((await claimed(farm, build.id)).context.sentBytes).toBe(7);
    await put(b, Buffer.from('by manifest b'));
    expect((await take(zstdCompressSync(manifest))).body).toEqual({ ...first, missing: [] });
  });

  it('goes with others by digest in the parts of a form', async () => {
    const manifest = manifestOf(file('a', 'in a form'));
    const { digest } = ContextView.parse((await take(manifest)).body);
    const form = (contexts: object): request.Test =>
      as(farm.tokens.mine, request(farm.url).post('/v1/builds'))
        .field('request', JSON.stringify({ contexts: { extra: { type: 'local' } } }))
        .field('contexts', JSON.stringify(contexts));
    expect((await form({ context: { digest }, extra: { digest } })).status).toBe(202);
    const mixed = await form({ extra: { digest } }).attach('context', await smallTar(), 'context.tar');
    expect(mixed.status).toBe(202);
    expect((await form({ context: { digest } })).body).toMatchObject({ status: 400, field: 'context:extra' });
    const odd = await form({ context: { digest }, extra: { digest }, other: { digest } });
    expect(odd.body).toMatchObject({ status: 400, field: 'contexts.other' });
  });

  it('is told apart under an idempotency key by which of the named it is, in whatever order they come', async () => {
    const [one, two] = [manifestOf(file('a', 'named one')), manifestOf(file('a', 'named two'))];
    for (const manifest of [one, two]) await take(manifest);
    const [digest, other] = [digestOf(one), digestOf(two)].map((each) => ({ digest: each }));
    const asked = (contexts: object): request.Test =>
      as(farm.tokens.mine, request(farm.url).post('/v1/builds'))
        .set('idempotency-key', 'named')
        .send({ request: { contexts: { x: { type: 'local' }, y: { type: 'local' } } }, contexts });
    const first = await asked({ context: digest, x: digest, y: other });
    expect(first.status).toBe(202);
    const again = await asked({ y: other, x: digest, context: digest });
    expect([again.status, again.body]).toMatchObject([202, { id: BuildView.parse(first.body).id }]);
    expect((await asked({ context: digest, y: digest, x: other })).status).toBe(409);
  });

  it('tells nothing of another project', async () => {
    const text = 'of the other project';
    const manifest = manifestOf(file('a', text));
    await take(manifest, farm.tokens.other);
    await put(digestOf(text), Buffer.from(text), farm.tokens.other);
    expect(await missing([digestOf(text)], farm.tokens.other)).toEqual([]);
    expect(await missing([digestOf(text)])).toEqual([digestOf(text)]);
    const build = await submit({ request: {}, contexts: { context: { digest: digestOf(manifest) } } });
    expect(build.body).toMatchObject({ status: 404, field: 'contexts.context' });
    expect(ContextView.parse((await take(manifest)).body).missing).toEqual([digestOf(text)]);
    expect((await join(digestOf(text), [digestOf(text)])).status).toBe(404);
  });

  it('is refused where it makes no sense, before any byte of a file is sent', async () => {
    const lines = (...entries: readonly object[]): Buffer =>
      Buffer.from(['{"kind":"context","version":1}', ...entries.map((each) => JSON.stringify(each)), ''].join('\n'));
    const dir = { path: 'd', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 };
    const evil: readonly (readonly [number, Buffer])[] = [
      [400, lines(file('../up', 'x'))],
      [400, lines(file('/absolute', 'x'))],
      [400, lines(file('a/./b', 'x'))],
      [400, lines(file('nowhere/b', 'x'))],
      [400, lines(file('a', 'x'), file('a', 'y'))],
      [400, lines(file('b', 'x'), file('a', 'y'))],
      [400, lines({ ...dir, type: 'char', device: { major: 1, minor: 3 } })],
      [400, lines({ ...dir, uid: 7 })],
      [400, lines(file('a', 'x'), file('b', 'x', { size: 2 }))],
      [400, lines(file('a', 'x', { size: -1 }))],
      [400, lines(file('a', 'x', { hardlink: 'b' }))],
      [400, Buffer.from('{}')],
      [400, gzipSync(manifestOf(file('a', 'x'))).subarray(0, 20)],
      [413, lines(file('a', 'x', { size: MAX_BYTES + 1 }))],
      [413, lines(...Array.from({ length: 11 }, (_, at) => file(`f${at + 10}`, 'x')))],
      [413, zstdCompressSync(Buffer.alloc(300 * 1024 * 1024, 'x'))],
      [413, lines(file('a'.repeat(5_000), 'x'))],
    ];
    const before = await farm.db.execute('SELECT FROM contexts');
    for (const [status, manifest] of evil) {
      const answer = await take(manifest);
      expect([answer.status, answer.body]).toMatchObject([status, { code: expect.any(String) as unknown }]);
    }
    expect(await farm.db.execute('SELECT FROM contexts')).toBe(before);
    const typed = await as(farm.tokens.mine, request(farm.url).post('/v1/contexts')).type('text/plain').send('x');
    expect(typed.status).toBeGreaterThanOrEqual(400);
    expect(typed.status).toBeLessThan(500);
  });

  it('says so where a file that is there has another size', async () => {
    await put(digestOf('sized'), Buffer.from('sized'));
    expect((await take(manifestOf(file('a', 'sized', { size: 6 })))).body).toMatchObject({ status: 400 });
  });
});

describe('blobs', () => {
  const named = (text: string): { name: string; mode: number } => ({
    name: `sha256/${hexOf(digestOf(text))}`,
    mode: 0o644,
  });

  it('come in packs', async () => {
    const [one, two] = ['packed one', 'packed two'];
    const archive = await tar((pack) => {
      for (const text of [one, two]) pack.entry(named(text), text);
    });
    expect((await packs(zstdCompressSync(archive))).body).toEqual({ blobs: 2, sizeBytes: 20 });
    expect(await missing([digestOf(one), digestOf(two), digestOf('never')])).toEqual([digestOf('never')]);
  });

  it('of packs are what their names say, or none is the project’s', async () => {
    const archive = await tar((pack) => {
      pack.entry(named('packed three'), 'packed three');
      pack.entry(named('packed four'), 'packed five');
    });
    expect((await packs(archive)).body).toMatchObject({ status: 400, code: 'CONTEXT_INVALID' });
    const texts = ['packed three', 'packed four', 'packed five'].map((text) => digestOf(text));
    expect(await missing(texts)).toEqual(texts);
  });

  it('are put whole, or of parts', async () => {
    const [head, tail] = [Buffer.alloc(1000, 'a'), Buffer.alloc(500, 'b')];
    const whole = digestOf(Buffer.concat([head, tail]));
    const parts = [digestOf(head), digestOf(tail)];
    expect((await join(whole, parts)).body).toMatchObject({ status: 404, field: 'parts' });
    await put(digestOf(head), head);
    await put(digestOf(tail), tail);
    expect((await join(whole, parts.toReversed())).body).toMatchObject({ status: 400, code: 'CONTEXT_INVALID' });
    expect(await missing([whole])).toEqual([whole]);
    expect((await join(whole, parts)).body).toEqual({ digest: whole, sizeBytes: 1500 });
  });

  it('are refused under another digest, beyond the limit, and of no type', async () => {
    expect((await put(digestOf('x'), Buffer.from('y'))).body).toMatchObject({ status: 400, code: 'CONTEXT_INVALID' });
    const large = Buffer.alloc(MAX_BYTES + 1);
    expect((await put(digestOf(large), large)).status).toBe(413);
    expect((await put('sha256:zz', Buffer.from('y'))).body).toMatchObject({ status: 400, field: 'digest' });
    expect((await join(digestOf('x'), [])).body).toMatchObject({ status: 400 });
    const untyped = as(farm.tokens.mine, request(farm.url).put(`/v1/blobs/${digestOf('x')}`)).type('text/plain');
    expect((await untyped.send('x')).status).toBeLessThan(500);
  });

  it('need a token that may build', async () => {
    const manifest = manifestOf(file('a', 'x'));
    const { reader } = farm.tokens;
    const refused = [take(manifest, reader), put(digestOf('x'), Buffer.from('x'), reader), packs(Buffer.of(), reader)];
    for (const asked of refused) expect((await asked).status).toBe(403);
    expect((await request(farm.url).post('/v1/contexts').type(CONTEXT_MANIFEST_TYPE).send(manifest)).status).toBe(401);
    expect((await request(farm.url).post('/v1/blobs/missing').send({ digests: [] })).status).toBe(401);
  });
});
