import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { IncomingMessage, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { BuildView } from '#protocol';
import { collect, unseal } from '#std';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimed, type Farm, secretKey, smallTar, startFarm, tar } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm({ KILN_CONTEXT_MAX_BYTES: String(4 * 1024 * 1024), KILN_CONTEXT_MAX_FILES: '100' });
});
afterAll(() => farm[Symbol.asyncDispose]());

const post = (token = farm.tokens.mine) =>
  request(farm.url).post('/v1/builds').set('authorization', `Bearer ${token}`).buffer(true);
const submit = (archive: Buffer, asked: object = {}, token?: string) =>
  post(token)
    .field('request', JSON.stringify(asked), { contentType: 'application/json' })
    .attach('context', archive, { filename: 'context.tar' });
const count = async (table: 'builds' | 'grants'): Promise<number> => await farm.db.execute(`SELECT 1 FROM ${table}`);

/** The head of a file: https://www.gnu.org/software/tar/manual/html_node/Standard.html */
function tarHeader(name: string, type: string, sizeBytes: number): Buffer {
  const head = Buffer.alloc(512);
  head.write(name, 0);
  head.write('0000644\0', 100);
  head.write(sizeBytes.toString(8).padStart(11, '0'), 124);
  head.write('00000000000', 136);
  head.write(`${type}`, 156);
  head.write('ustar\x0000', 257);
  head.fill(' ', 148, 156);
  const sum = head.reduce((all, byte) => all + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return head;
}

/** Announces a body and waits for the answer. */
async function silentBody(length: number): Promise<Answer> {
  const { hostname, port } = new URL(farm.url);
  const asked = httpRequest({
    ...{ hostname, port, method: 'POST', path: '/v1/builds' },
    headers: {
      authorization: `Bearer ${farm.tokens.mine}`,
      'content-type': 'application/x-tar',
      'content-length': length,
    },
  });
  asked.on('error', () => undefined);
  asked.flushHeaders();
  const [answer] = z.tuple([z.instanceof(IncomingMessage)]).parse(await once(asked, 'response'));
  const body: unknown = JSON.parse((await collect(answer, 64 * 1024)).toString());
  asked.destroy();
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: unknown;
}

describe('a submission', () => {
  it('is accepted, with its context in blobs and its credentials sealed', async () => {
    const credentials = { 'registry.example.com': { username: 'me', password: 'hunter2' } };
    const answer = await submit(await smallTar(), { tags: ['acme/app:1'], credentials });
    expect(answer.status).toBe(202);
    const build = BuildView.parse(answer.body);
    expect(answer.headers['location']).toBe(`/v1/builds/${build.id}`);
    expect(build).toMatchObject({ project: 'mine', scope: 'main', state: 'queued', attempt: 1 });
    expect(build.url).toBe(`https://kiln.example.com/b/${build.id}`);
    expect(build.context).toMatchObject({ files: 2, sizeBytes: 28 });
    expect(answer.text).not.toContain('hunter2');
    expect(await count('grants')).toBe(3);
    const leaked = await farm.db.execute("SELECT 1 FROM builds b WHERE b::text LIKE '%hunter2%'");
    expect(leaked).toBe(0);
    const { sealed } = await claimed(farm, build.id);
    const opened = unseal(Buffer.from(secretKey, 'hex'), `build:${build.id}`, sealed ?? Buffer.of());
    expect(JSON.parse(opened.toString())).toEqual({ credentials, secrets: {} });
  });

  it('is the same context plain, gzipped, in zstd, and as the whole body', async () => {
    const archive = await smallTar();
    const answers = [
      await submit(archive),
      await submit(gzipSync(archive)),
      await submit(zstdCompressSync(archive)),
      await post().query({ request: '{}' }).type('application/x-tar').send(archive),
      await post().type('application/gzip').send(gzipSync(archive)),
    ];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
    expect(new Set(answers.map(({ body }) => BuildView.parse(body).context.digest)).size).toBe(1);
  });

  it('says in the URL what to do, with the flags of docker buildx, and sends nothing but the tar', async () => {
    const query = new URLSearchParams([
      ...[
        ['tag', 'acme/app:1'],
        ['tag', 'acme/app:2'],
        ['push', ''],
        ['file', 'docker/Dockerfile'],
        ['target', 'app'],
      ],
      ...[
        ['build-arg', 'A=1=2'],
        ['build-arg', 'B='],
        ['label', 'org.x=y'],
        ['annotation', 'index:k=v'],
        ['output', 'oci'],
      ],
      ...[
        ['platform', 'linux/amd64,linux/arm64'],
        ['no-cache', 'true'],
        ['pull', 'false'],
        ['no-cache-filter', 'app'],
      ],
      ...[
        ['add-host', 'db:10.0.0.5'],
        ['ulimit', 'nofile=10:20'],
        ['shm-size', '64m'],
        ['memory', '1g'],
        ['cpus', '0.5'],
      ],
      ...[
        ['build-context', 'base=docker-image://busybox:1'],
        ['build-context', 'Made=target:build'],
        ['cache-from', 'acme/cache'],
        ['network', 'none'],
      ],
      ...[
        ['provenance', 'mode=min'],
        ['attest', 'type=sbom,generator=acme/scan:1'],
      ],
      ...[
        ['branch', 'main'],
        ['commit', 'a'.repeat(40)],
        ['author', 'someone'],
        ['pull-request', '7'],
        ['priority', 'low'],
      ],
    ]);
    const answer = await request(farm.url)
      .post(`/v1/builds?${query.toString()}`)
      .set('authorization', `Bearer ${farm.tokens.mine}`)
      .type('application/zstd')
      .send(zstdCompressSync(await smallTar()));
    expect([answer.status, answer.body]).toMatchObject([202, {}]);
    expect(BuildView.parse(answer.body).request).toMatchObject({
      tags: ['acme/app:1', 'acme/app:2'],
      outputs: [{ type: 'image', push: true }, { type: 'oci' }],
      dockerfile: 'docker/Dockerfile',
      target: 'app',
      buildArgs: { A: '1=2', B: '' },
      labels: { 'org.x': 'y' },
      annotations: { 'index:k': 'v' },
      platforms: ['linux/amd64', 'linux/arm64'],
      noCache: true,
      noCacheFilter: ['app'],
      pull: false,
      addHosts: [{ name: 'db', address: '10.0.0.5' }],
      ulimits: [{ name: 'nofile', soft: 10, hard: 20 }],
      shmSizeBytes: 64 * 1024 ** 2,
      memoryBytes: 1024 ** 3,
      cpus: 0.5,
      contexts: { base: { type: 'image', reference: 'busybox:1' }, made: { type: 'target', stage: 'build' } },
      cacheFrom: [{ type: 'registry', ref: 'acme/cache' }],
      network: 'none',
      attestations: {
        provenance: { mode: 'min', farm: 'https://kiln.example.com' },
        sbom: { generator: 'acme/scan:1' },
      },
      source: { branch: 'main', commit: 'a'.repeat(40), author: 'someone', pullRequest: '7' },
      priority: 'low',
    });
  });

  it.each([
    ['taag=x', 'taag'],
    ['push', 'push'],
    ['push=perhaps&tag=a', 'push'],
    ['tag=UPPER', 'tags[0]'],
    ['build-arg=A', 'build-arg'],
    ['build-context=x=https://host/x.git', 'build-context'],
    ['platform=linux', 'platforms[0]'],
    ['memory=lots', 'memory'],
    ['provenance=most', 'provenance'],
    ['secret=id=a', 'secret'],
    ['supersede&branch=main', 'source.commit'],
    ['request={}&pull', 'pull'],
  ])('in the URL: %s is refused, naming %s', async (query, field) => {
    const answer = await request(farm.url)
      .post(`/v1/builds?${query}`)
      .set('authorization', `Bearer ${farm.tokens.mine}`)
      .type('application/x-tar')
      .send(await smallTar());
    expect([answer.status, answer.body]).toMatchObject([400, { code: 'INVALID_ARGUMENT', field }]);
  });

  it('says it in one place: flags in the URL do not go with a form or with JSON', async () => {
    const form = await submit(await smallTar()).query({ pull: 'true' });
    expect([form.status, form.body]).toMatchObject([400, { field: 'pull' }]);
    const json = await post().query({ tag: 'x' }).send({ request: {} });
    expect([json.status, json.body]).toMatchObject([400, { field: 'tag' }]);
  });

  it('brings named contexts in parts of their own', async () => {
    const contexts = { extra: { type: 'local' }, base: { type: 'image', reference: 'busybox' } };
    const archive = await smallTar();
    const answer = await submit(archive, { contexts }).attach('context:extra', archive, { filename: 'context.tar' });
    expect(answer.status).toBe(202);
    const { namedContexts, context } = await claimed(farm, BuildView.parse(answer.body).id);
    expect(namedContexts).toEqual([{ name: 'extra', ...context }]);
    const other = submit(archive, { contexts }).attach('context:base', archive, { filename: 'context.tar' });
    expect((await other).body).toMatchObject({ field: 'context:base' });
    expect((await submit(archive, { contexts })).body).toMatchObject({ field: 'context:extra' });
    const twice = submit(archive, { contexts }).attach('context', archive, { filename: 'context.tar' });
    expect((await twice).status).toBe(400);
  });

  it('takes builds as contexts, which have to lead somewhere', async () => {
    const archive = await smallTar();
    const contexts = { base: { type: 'build', build: 'base' }, 'base+context': { type: 'local' } };
    const builds = { base: { context: 'base+context', dockerfileText: 'FROM scratch' } };
    const part = ['context:base+context', archive, { filename: 'context.tar' }] as const;
    const answer = await submit(archive, { contexts, builds }).attach(...part);
    expect(answer.status).toBe(202);
    expect(BuildView.parse(answer.body).request).toMatchObject({ contexts, builds });
    const lost = await submit(archive, { contexts }).attach(...part);
    expect([lost.status, lost.body]).toMatchObject([400, { code: 'INVALID_ARGUMENT', field: 'contexts.base' }]);
  });

  it('may be of what is elsewhere, without credentials', async () => {
    const asked = (url: string) =>
      post().field('request', JSON.stringify({ contexts: { context: { type: 'git', url } } }), {
        contentType: 'application/json',
      });
    const answer = await asked('https://host/x.git');
    expect(answer.status).toBe(202);
    expect(BuildView.parse(answer.body).context.files).toBe(0);
    expect((await asked('https://me:pw@host/x.git')).body).toMatchObject({
      detail: expect.stringContaining('GIT_AUTH_TOKEN') as string,
    });
  });

  it('may be repeated under an idempotency key', async () => {
    const archive = await smallTar();
    const first = await submit(archive, { target: 'a' }).set('idempotency-key', 'key-1');
    const again = await submit(archive, { target: 'a' }).set('idempotency-key', 'key-1');
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(again.body).toEqual(first.body);
    const different = await submit(archive, { target: 'b' }).set('idempotency-key', 'key-1');
    expect([different.status, different.body]).toMatchObject([409, { code: 'CONFLICT', field: 'Idempotency-Key' }]);
    const otherContext = await submit(await tar((pack) => pack.entry({ name: 'x' }, 'x')), { target: 'a' }).set(
      'idempotency-key',
      'key-1',
    );
    expect(otherContext.status).toBe(409);
    expect((await submit(archive, {}, farm.tokens.other).set('idempotency-key', 'key-1')).status).toBe(202);
    const bad = await submit(archive).set('idempotency-key', 'a b');
    expect([bad.status, bad.body]).toMatchObject([400, { field: 'Idempotency-Key' }]);
  });
});

describe('what is refused', () => {
  const context = async (): Promise<Buffer> => await smallTar();
  const refused: Record<string, [number, object, () => Promise<Answer>]> = {
    'the context before the request': [
      400,
      { code: 'INVALID_ARGUMENT', field: 'request' },
      async () =>
        await post()
          .attach('context', await context(), 'c.tar')
          .field('request', '{}'),
    ],
    'a missing context': [400, { field: 'context' }, async () => await post().field('request', '{}')],
    'a missing request': [400, { field: 'request' }, async () => await post().attach('context', await context(), 'c')],
    'something between': [
      400,
      { field: 'x' },
      async () =>
        await post()
          .field('request', '{}')
          .field('x', '1')
          .attach('context', await context(), 'c'),
    ],
    'something after': [400, { field: 'x' }, async () => await submit(await context()).field('x', '1')],
    'a request that is no JSON': [
      400,
      {},
      async () =>
        await post()
          .field('request', '{')
          .attach('context', await context(), 'c'),
    ],
    'an unknown field': [400, { code: 'INVALID_ARGUMENT' }, async () => await submit(await context(), { bogus: 1 })],
    'a wrong field': [400, { field: 'tags[1]' }, async () => await submit(await context(), { tags: ['a', 7] })],
    'another type of body': [400, { field: 'Content-Type' }, async () => await post().type('text/plain').send('a')],
    'JSON that is no submission': [400, { code: 'INVALID_ARGUMENT' }, async () => await post().send({ a: 1 })],
    'JSON without a context': [400, { field: 'context' }, async () => await post().send({ request: {} })],
    'a type nobody knows': [415, { code: 'INVALID_ARGUMENT' }, async () => await post().type('image/png').send('x')],
    'no archive': [400, { code: 'CONTEXT_INVALID' }, async () => await submit(Buffer.alloc(2048, 'x'))],
    'an archive cut off': [
      400,
      { code: 'CONTEXT_INVALID' },
      async () => await submit((await context()).subarray(0, 700)),
    ],
    'a damaged gzip': [
      400,
      { code: 'CONTEXT_INVALID' },
      async () => await submit(gzipSync(await context()).subarray(0, -20)),
    ],
    'a path out of the context': [
      400,
      { code: 'CONTEXT_INVALID' },
      async () => await submit(await tar((pack) => pack.entry({ name: '../../etc/passwd' }, 'x'))),
    ],
    'a device': [
      400,
      { code: 'CONTEXT_INVALID' },
      async () => await submit(await tar((pack) => pack.entry({ name: 'd', type: 'character-device' }))),
    ],
    'too many bytes, however small they are packed': [
      413,
      { code: 'LIMIT_EXCEEDED' },
      async () => await submit(gzipSync(await tar((pack) => pack.entry({ name: 'z' }, Buffer.alloc(5 * 1024 * 1024))))),
    ],
    'a file that says it is of 4 GiB, of which not a byte came': [
      413,
      { code: 'LIMIT_EXCEEDED', hint: expect.stringContaining('.dockerignore') as string },
      async () => await submit(tarHeader('big', '0', 4 * 1024 ** 3)),
    ],
    'a body that says it is larger than any context, and sends nothing': [
      413,
      { code: 'LIMIT_EXCEEDED', field: 'context' },
      async () => await silentBody(1024 ** 3),
    ],
    'a header that is larger than any': [
      400,
      { code: 'CONTEXT_INVALID' },
      async () => await submit(Buffer.concat([tarHeader('x', 'x', 2 * 1024 ** 3), Buffer.alloc(2 * 1024 ** 2)])),
    ],
    'too many files': [
      413,
      { code: 'LIMIT_EXCEEDED' },
      async () =>
        await submit(
          await tar((pack) => {
            for (let at = 0; at < 200; at++) pack.entry({ name: `f${at}` }, '');
          }),
        ),
    ],
    'a token that may only read': [
      403,
      { code: 'PERMISSION_DENIED' },
      async () => await submit(await context(), {}, farm.tokens.reader),
    ],
  };
  it.each(Object.entries(refused))('%s: nothing of it is kept', async (_name, [status, problem, attempt]) => {
    const before = [await count('builds'), await count('grants')];
    const answer = await attempt();
    expect([answer.status, answer.body]).toMatchObject([status, { status, ...problem }]);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect([await count('builds'), await count('grants')]).toEqual(before);
    expect(await readdir(`${farm.contentDir}/tmp`)).toEqual([]);
  });

  it('an upload whose client goes away', async () => {
    const before = [await count('builds'), await count('grants')];
    const { hostname, port } = new URL(farm.url);
    const socket = connect(Number(port), hostname);
    const head = ['POST /v1/builds HTTP/1.1', 'Host: x', `Authorization: Bearer ${farm.tokens.mine}`];
    const type = 'Content-Type: multipart/form-data; boundary=b';
    const parts =
      '--b\r\nContent-Disposition: form-data; name="request"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name="context"; filename="c"\r\n\r\n';
    socket.write([...head, type, 'Content-Length: 1000000', '', parts].join('\r\n'));
    socket.write((await smallTar()).subarray(0, 1536));
    await new Promise((resolve) => setTimeout(resolve, 200));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([await count('builds'), await count('grants')]).toEqual(before);
    expect((await submit(await smallTar())).status).toBe(202);
  });

  it('a large upload gets its answer while it is still sending', async () => {
    const answer = await submit(Buffer.alloc(32 * 1024 * 1024, 'x'));
    expect([answer.status, answer.body]).toMatchObject([400, { code: 'CONTEXT_INVALID' }]);
  });
});
