import { once } from 'node:events';
import { IncomingMessage, request as httpRequest } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { FolderContentStore } from '#content';
import { digestOf } from '#oci';
import { Problem } from '#protocol';
import { single, systemRandom } from '#std';
import { BuildImages, ProjectStore, TeamStore } from '#storage';
import { propertyRuns } from '#testing';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimed, type Farm, rawAnswer, smallTar, startFarm, submitted, succeeded, operatorToken } from './farm.ts';
import { Document, type Route, type Shot, shots } from './fuzz/requests.ts';

const Incoming = z.instanceof(IncomingMessage);
const Bytes = z.instanceof(Buffer);
const LONG = process.env['KILN_TEST_LENGTH'] === 'long';
const seed = LONG ? Date.now() % 2 ** 31 : 20_260_101;
/** Stands in everything that the project has, and nobody else may read. */
const CANARY = 'canary7391';
/** Streams that follow a build have no end. */
const READ_MS = 150;
/** At length it is minutes on a machine of its own, and several times that on one that others use. */
const PATIENCE_MS = LONG ? 60 * 60_000 : 180_000;

let farm: Farm;
let routes: readonly Route[];
let pools: Record<string, readonly string[]>;
let archive: Uint8Array;
let schemas: Record<string, unknown>;
const ajv = new Ajv2020({ strict: false, validateFormats: false });

beforeAll(async () => {
  farm = await startFarm({ KILN_CONTEXT_MAX_BYTES: '1000000', KILN_CONTEXT_MAX_FILES: '100' });
  archive = await smallTar();
  const document = Document.parse((await request(farm.url).get('/v1/openapi.json')).body);
  schemas = document.components.schemas;
  ajv.addSchema({ $id: 'kiln', components: document.components });
  routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation['x-websocket'] === undefined ? [{ method: method.toUpperCase(), path, operation }] : [],
    ),
  );
  pools = {
    id: [
      ...(await builds()),
      await created('/v1/trust-rules', rule),
      await created('/v1/tokens', { name: CANARY, permissions: ['read'] }),
      await created('/v1/projects/mine/webhooks', { name: CANARY, url: 'http://127.0.0.1:1' }),
    ],
    image: await images(),
    project: ['mine'],
    n: ['0', '1'],
    digest: [`sha256:${'0'.repeat(64)}`],
    name: ['bob', 'ada'],
    host: ['registry.example'],
  };
  console.log(`fuzz: seed ${seed}`);
});
afterAll(() => farm[Symbol.asyncDispose]());

const rule = {
  ...{ name: CANARY, issuer: 'https://issuer.example', audience: 'kiln', claims: { repository: 'acme/web' } },
  ...{ scope: 'main', trust: 'branch' },
};

async function created(path: string, asked: object): Promise<string> {
  const answer = await request(farm.url).post(path).set('authorization', `Bearer ${farm.tokens.owner}`).send(asked);
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return z.object({ id: z.string() }).parse(answer.body).id;
}

/** One that waits, one that runs, one that has ended with a file; all of them full of what is nobody else's. */
async function builds(): Promise<readonly string[]> {
  const asked = { tags: [`acme/${CANARY}`], labels: { [CANARY]: CANARY } };
  const [waits, runs, ended] = [
    await submitted(farm, asked),
    await submitted(farm, asked),
    await submitted(farm, asked),
  ];
  const content = new FolderContentStore({ root: farm.contentDir, random: systemRandom });
  const output = { type: 'oci' as const, ...(await content.put(single(Buffer.from(CANARY)))) };
  await succeeded(farm, await claimed(farm, ended), [output]);
  const claim = await claimed(farm, runs);
  const vertex = output.digest;
  const planned = { vertex, name: CANARY, stage: 's', line: 2, step: true, inputs: [] };
  await farm.ledger.append(claim, [
    { type: 'planned', atMs: 1, vertices: [planned] },
    { type: 'log', atMs: 1, vertex, stream: 1, text: CANARY },
  ]);
  return [waits, runs, ended, ended];
}

/** As many as that some are left, whatever is removed. */
async function images(): Promise<readonly string[]> {
  const claim = await claimed(farm, await submitted(farm, {}));
  const keeper = new BuildImages(farm.db, claim);
  const made = Array.from({ length: 60 }, (_, n) => digestOf(`image ${n}`));
  for (const [n, digest] of made.entries()) {
    const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 };
    const layer = { descriptor: { ...descriptor, digest: digestOf('layer') }, diffId: digestOf('diff') };
    const variant = {
      ...{ platform: { os: 'linux', architecture: 'amd64' }, digest, id: digestOf(`config ${n}`), sizeBytes: 1 },
      history: [{ createdBy: CANARY, layer }],
    };
    await keeper.keep({
      image: { descriptor, variants: [variant], createdAt: '2026-01-01T00:00:00.000Z' },
      ...{ names: [`docker.io/acme/${CANARY}:${n}`], kept: false, documents: [], layers: [], deltas: [] },
    });
  }
  await succeeded(farm, claim);
  return made;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

async function fire({ route, token, path, headers, body }: Shot): Promise<Answer> {
  const url = new URL(farm.url);
  const sent = httpRequest({
    host: url.hostname,
    port: url.port,
    method: route.method,
    path,
    agent: false,
    headers: {
      ...headers,
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-length': body.byteLength }),
    },
  });
  sent.on('error', () => undefined);
  sent.end(body);
  const [answer] = z.tuple([Incoming]).parse(await once(sent, 'response'));
  const chunks: Buffer[] = [];
  const leaving = setTimeout(() => answer.destroy(), READ_MS);
  try {
    for await (const chunk of answer) chunks.push(Bytes.parse(chunk));
  } catch {
    // Left in the middle of a stream.
  } finally {
    clearTimeout(leaving);
    sent.destroy();
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString() };
}

function mayDo(token: string): readonly string[] {
  const { mine, other, owner, builder, reader } = farm.tokens;
  if ([mine, other, owner].includes(token)) return ['build', 'read', 'admin'];
  if (token === operatorToken) return ['operator'];
  return token === builder ? ['build', 'read'] : token === reader ? ['read'] : [];
}

function check(shot: Shot, { status, headers, text }: Answer): void {
  const { operation } = shot.route;
  const told = `${shot.route.method} ${shot.path.slice(0, 300)} → ${status} ${text.slice(0, 500)}`;
  expect(status, told).toBeLessThan(500);
  expect(headers['x-content-type-options'], told).toBe('nosniff');
  const { other: _, ...ours } = farm.tokens;
  if (!Object.values(ours).includes(shot.token)) expect(text, told).not.toContain(CANARY);
  const needed = operation.security[0]?.token[0];
  if (needed !== undefined && !mayDo(shot.token).includes(needed)) expect(status, told).toBeGreaterThan(399);
  if (status >= 400) {
    expect(headers['content-type'], told).toMatch(/^application\/problem\+json(?:; charset=utf-8)?$/);
    const problem = Problem.parse(JSON.parse(text));
    expect(problem.status, told).toBe(status);
    expect(operation.responses[status]?.description ?? 'not described', told).toContain(problem.code);
    return;
  }
  expect(Object.keys(operation.responses), told).toContain(String(status));
  const described = operation.responses[status]?.content ?? {};
  const type = headers['content-type']?.split(';')[0] ?? '';
  if (status === 304 || status === 204) return;
  expect(Object.keys(described), told).toContain(type);
  if (type !== 'application/json') return;
  const validate = ajv.compile(z.looseObject({}).parse(located(described[type]?.schema)));
  expect([validate(JSON.parse(text)), validate.errors], told).toEqual([true, null]);
}

/** References lead into the document. */
function located(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"kiln#/components'));
}

describe('whatever is sent', () => {
  it(
    'is answered as the document says, reveals nothing, and breaks nothing',
    async () => {
      const { mine, other, owner, builder, reader } = farm.tokens;
      const tokens = [mine, mine, mine, mine, owner, owner, other, other, builder, reader, operatorToken, ''];
      const succeededOn = new Set<string>();
      const nameOf = ({ method, path }: Route): string => `${method} ${path}`;
      const shoot = (at: readonly Route[], runs: number): Promise<void> =>
        fc.assert(
          fc.asyncProperty(
            fc.oneof(...at.map((route) => shots(route, { schemas, pools, tokens, archive }))),
            async (shot) => {
              const answer = await fire(shot);
              check(shot, answer);
              if (answer.status < 300) succeededOn.add(nameOf(shot.route));
            },
          ),
          { ...propertyRuns(runs), seed, endOnFailure: LONG },
        );
      await shoot(routes, 900);
      // A fuzzer that every route turns away at the door has tried nothing: those that did so are tried again.
      const rarely = new Set([
        'GET /v1/images/{image}/changes',
        'POST /v1/cache/disown',
        'POST /v1/contexts',
        'POST /v1/blobs',
        'PUT /v1/blobs/{digest}',
      ]);
      const wanted = routes.filter(
        (route) =>
          !rarely.has(nameOf(route)) &&
          !/trust-rules|tokens|oidc|session$|session.project$|attestations|scopes$|members\/|badge|retry$|provenance$|webhooks\/|builders\//.test(
            nameOf(route),
          ),
      );
      const closed = wanted.filter((route) => !succeededOn.has(nameOf(route)));
      // What was made has perhaps been removed again before it was read.
      const makers = routes.filter(({ method, path }) => method === 'PUT' && closed.some((each) => each.path === path));
      const again = [...new Set([...closed, ...makers])];
      // Among what was sent may have been that the owner is none any more.
      const ids = await new ProjectStore(farm.db).ensure('mine', 'main');
      await new TeamStore(farm.db).ensureMember(ids, 'ada', 'owner');
      if (closed.length > 0) await shoot(again, 200 * again.length);
      expect([...succeededOn]).toEqual(expect.arrayContaining(wanted.map(nameOf)));
    },
    PATIENCE_MS,
  );

  it('may break off anywhere', async () => {
    const head = `POST /v1/builds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${farm.tokens.mine}\r\n`;
    const whole = Buffer.from(
      `${head}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"request":{"tags":["a"]}`,
    );
    const bytes = fc.oneof(
      fc.nat(whole.byteLength).map((at) => whole.subarray(0, at)),
      fc
        .tuple(fc.nat(whole.byteLength - 1), fc.nat(255))
        .map(([at, byte]) => Buffer.from(whole).fill(byte, at, at + 1)),
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (sent) => {
        const answer = await rawAnswer(farm, sent);
        expect(answer).toMatch(/^(?:$|HTTP\/1\.1 4\d\d )/);
        if (answer !== '') expect(answer.toLowerCase()).toContain('application/problem+json');
      }),
      { ...propertyRuns(60), seed },
    );
    expect((await request(farm.url).get('/readyz')).status).toBe(200);
  });
});
