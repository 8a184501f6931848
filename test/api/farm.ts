import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import request from 'supertest';
import { type Pack, pack } from 'tar-stream';
import { type BuildResult, BuildView, Permission, type Trust } from '#protocol';
import { collect, silentLogger, systemClock, systemRandom } from '#std';
import {
  type Claim,
  migrate,
  openDatabase,
  openRedis,
  BuildLedger,
  ProjectStore,
  TeamStore,
  TokenStore,
} from '#storage';
import type { Database } from '#storage';
import { startPostgres, startRedis, type TestService } from '#testing';
import { closeApp, createApp } from '../../apps/api/src/app.ts';
import { ApiEnv, readConfig } from '../../apps/api/src/config.ts';

/** The API on real services, with a token of each kind. */
export interface Farm extends AsyncDisposable {
  readonly app: NestFastifyApplication;
  readonly url: string;
  readonly postgres: TestService;
  readonly redis: TestService;
  readonly db: Database;
  readonly ledger: BuildLedger;
  readonly contentDir: string;
  /** all that the server answers to, as `GET /v1/builds/{id}` */
  readonly routes: ReadonlySet<string>;
  /** of the project `mine` all but `other`; `builder` may do all but administer it, `reader` read only; `owner` is that of an owner of its team, the others are of nobody */
  readonly tokens: Readonly<Record<'mine' | 'other' | 'builder' | 'reader' | 'owner', string>>;
  /** Ends the API process' side, as SIGTERM does. */
  close(): Promise<void>;
}

export const operatorToken = 'an-operators-token';
/** good for the figures alone */
export const figuresToken = 'a-token-for-figures';
export const secretKey = 'ab'.repeat(32);

export async function startFarm(limits: Readonly<Record<string, string>> = {}): Promise<Farm> {
  await using stack = new AsyncDisposableStack();
  const contentDir = await mkdtemp(join(tmpdir(), 'kiln-content-'));
  stack.defer(() => rm(contentDir, { recursive: true, force: true }));
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  stack.use(postgres);
  stack.use(redis);
  const db = stack.use(openDatabase({ url: postgres.url, max: 4 }));
  const link = stack.use(openRedis({ url: redis.url }));
  await migrate(db);
  const config = readConfig(ApiEnv, {
    KILN_DATABASE_URL: postgres.url,
    KILN_REDIS_URL: redis.url,
    KILN_OBJECT_STORE: contentDir,
    KILN_SECRET_KEY: secretKey,
    KILN_OPERATOR_TOKEN: operatorToken,
    KILN_METRICS_TOKEN: figuresToken,
    KILN_PUBLIC_URL: 'https://kiln.example.com',
    ...limits,
  });
  const app = await createApp({ config, clock: systemClock, random: systemRandom, logger: silentLogger });
  const routes = new Set<string>();
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) routes.add(`${each} ${url.replace(/:([A-Za-z]+)/g, '{$1}')}`);
    });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeApp(app));
  stack.defer(close);
  await app.listen(0, '127.0.0.1');
  const held = stack.move();
  return {
    app,
    url: await app.getUrl(),
    postgres,
    redis,
    db,
    ledger: new BuildLedger({ db, redis: link }),
    contentDir,
    routes,
    tokens: await createTokens(db),
    close,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function createTokens(db: Database): Promise<Farm['tokens']> {
  const projects = new ProjectStore(db);
  const tokens = new TokenStore(db);
  const permissions = Permission.options;
  const mine = await projects.ensure('mine', 'main');
  const other = await projects.ensure('other', 'main');
  const memberId = await new TeamStore(db).ensureMember(mine, 'ada', 'owner');
  return {
    owner: await tokens.create({ ...mine, permissions, memberId }),
    mine: await tokens.create({ ...mine, permissions }),
    other: await tokens.create({ ...other, permissions }),
    builder: await tokens.create({ ...mine, permissions: ['build', 'read'] }),
    reader: await tokens.create({ ...mine, permissions: ['read'] }),
  };
}

/** A token of the operator's in a scope of the project `mine`. */
export async function tokenIn(
  { db }: Farm,
  scope: string,
  trust: Trust,
  permissions: readonly Permission[] = Permission.options,
): Promise<string> {
  const ids = await new ProjectStore(db).ensure('mine', scope, { trust });
  return await new TokenStore(db).create({ ...ids, permissions });
}

export function tar(fill: (archive: Pack) => void): Promise<Buffer> {
  const archive = pack();
  fill(archive);
  archive.finalize();
  return collect(archive as AsyncIterable<Uint8Array>, 1 << 30);
}

export const smallTar = (): Promise<Buffer> =>
  tar((archive) => {
    archive.entry({ name: 'Dockerfile' }, 'FROM scratch\n');
    archive.entry({ name: 'src/index.js' }, 'console.log(1)\n');
  });

export async function claimed({ ledger }: Farm, id: string): Promise<Claim> {
  const claim = await ledger.claim(id, 1, 'builder');
  if (claim === null) throw new Error('not claimed');
  return claim;
}

/** A build of a small context, accepted. */
export async function submitted(farm: Farm, asked: object = {}, token = farm.tokens.mine): Promise<string> {
  const answer = await request(farm.url)
    .post('/v1/builds')
    .set('authorization', `Bearer ${token}`)
    .field('request', JSON.stringify(asked))
    .attach('context', await smallTar(), 'context.tar');
  return BuildView.parse(answer.body).id;
}

/** Ends a build that has been claimed, with these outputs. */
export async function succeeded({ ledger }: Farm, claim: Claim, outputs: BuildResult['outputs'] = []): Promise<void> {
  await ledger.finish(claim, {
    type: 'succeeded',
    atMs: 1,
    result: {
      names: [],
      steps: { total: 1, hit: 0, run: 1, joined: 0 },
      bytes: { contextSent: 1, pulled: 0, pushed: 0 },
      durationMs: 1,
      savedMs: 0,
      outputs,
    },
  });
}

/** What a socket says to bytes that need not be HTTP. */
export async function rawAnswer(farm: Farm, bytes: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(farm.url);
  const socket = connect(Number(port), hostname);
  socket.end(bytes);
  return (await collect(socket as AsyncIterable<Uint8Array>, 1 << 20)).toString();
}
