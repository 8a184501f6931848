import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { KilnClient } from '#client';
import { idTokenClaims, OidcIssuer } from '#testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeFailure } from '../../apps/cli/src/fail.ts';
import { runProgram } from '../../apps/cli/src/program.ts';
import { asker } from './caller.ts';
import { type Farm, startFarm, tokenIn } from './farm.ts';

let farm: Farm;
let home: string;
beforeAll(async () => {
  farm = await startFarm({ KILN_OIDC_EGRESS_ALLOW: '127.0.0.0/8' });
  home = await mkdtemp(join(tmpdir(), 'kiln-home-'));
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});
const ask = asker(() => farm);

interface Said {
  readonly out: string;
  readonly error: string;
  readonly code: number;
}

/** A command with its own settings, and what it says. */
async function kiln(
  args: readonly string[],
  { input, env = {} }: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Said> {
  const said = { out: '', error: '' };
  const clean = { KILN_URL: '', KILN_TOKEN: '', KILN_CONTEXT: '', KILN_OIDC: '', XDG_CONFIG_HOME: home };
  for (const [name, value] of Object.entries({ ...clean, ...env })) vi.stubEnv(name, value);
  const spy = (stream: NodeJS.WriteStream, key: 'out' | 'error'): void =>
    void vi.spyOn(stream, 'write').mockImplementation((text) => {
      said[key] += String(text);
      return true;
    });
  spy(process.stdout, 'out');
  spy(process.stderr, 'error');
  if (input !== undefined) {
    const stdin = Object.assign(Readable.from([Buffer.from(input)]), { isTTY: false });
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
  }
  try {
    await runProgram(args);
    return { ...said, code: 0 };
  } catch (thrown) {
    const { text, code } = describeFailure(thrown);
    return { ...said, error: `${said.error}${text}`, code };
  } finally {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  }
}

describe('GET /v1/me', () => {
  it('says whose a token is and what it may do, whatever it may do', async () => {
    const me = async (token: string) => (await ask('get', '/v1/me', token)).body as unknown;
    expect(await me(farm.tokens.reader)).toMatchObject({
      kind: 'project',
      team: 'default',
      project: 'mine',
      scope: 'main',
      trust: 'protected',
      permissions: ['read'],
      member: null,
      subject: null,
      expiresAt: null,
    });
    expect(await me(farm.tokens.owner)).toMatchObject({ kind: 'member', member: { name: 'ada', role: 'owner' } });
    expect(await me(farm.tokens.other)).toMatchObject({ project: 'other' });
    expect(await me(await tokenIn(farm, 'narrow', 'branch', ['build']))).toMatchObject({
      scope: 'narrow',
      permissions: ['build'],
    });
    expect((await ask('get', '/v1/me', '')).status).toBe(401);
    expect((await ask('get', '/v1/me', `kiln_${'0'.repeat(40)}`)).body).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('kiln login', () => {
  it('keeps no token that the farm does not know', async () => {
    const wrong = await kiln(['login', farm.url, '--token-stdin'], { input: `kiln_${'0'.repeat(40)}\n` });
    expect(wrong).toMatchObject({ code: 3, out: '' });
    expect(wrong.error).toMatch(
      /^the token is unknown, has expired or was revoked\ncheck that it is a token of this farm; kiln token create makes another\n$/,
    );
    expect((await kiln(['context', 'ls', '-q'])).out).toBe('default\n');
    expect(await kiln(['login', farm.url, '--token-stdin'], { input: 'a b' })).toMatchObject({ code: 2 });
    expect(await kiln(['login', '--token-stdin'], { input: 'x' })).toMatchObject({ code: 2 });
  });

  it('keeps one that it knows, for the commands after it', async () => {
    const input = `${farm.tokens.owner}\n`;
    const done = await kiln(['login', farm.url, '--token-stdin', '--context', 'team'], { input });
    expect(done).toMatchObject({ code: 0, error: '' });
    expect(done.out).toMatch(
      /^logged in to .*; the context team is in use\n.*\nwhose +ada, owner of the team default\n/,
    );
    expect(done.out).not.toContain(farm.tokens.owner);
    expect(JSON.parse((await kiln(['whoami', '--json'])).out)).toMatchObject({
      farm: { url: farm.url, context: 'team' },
      project: 'mine',
      permissions: ['build', 'read', 'admin'],
    });
    expect((await kiln(['whoami'])).out).toMatch(/\(context team\)\n/);
    expect(JSON.parse((await kiln(['builds', '--json'])).out)).toEqual({ builds: [] });
    // The flag wins over the variables.
    const env = { KILN_URL: 'http://127.0.0.1:1', KILN_TOKEN: 'x' };
    expect(await kiln(['builds', '--context', 'team'], { env })).toMatchObject({ code: 0 });
    expect(await kiln(['builds'], { env })).toMatchObject({ code: 3 });
    // What was saved for a farm is for its URL too.
    expect(await kiln(['builds'], { env: { KILN_URL: `${farm.url}/` } })).toMatchObject({ code: 0 });
  });

  it('lets each farm have its own token', async () => {
    expect(
      await kiln(['login', `${farm.url}/`, '--token-stdin', '--context', 'ro'], { input: farm.tokens.reader }),
    ).toMatchObject({ code: 0 });
    expect((await kiln(['context', 'show'])).out).toBe('ro\n');
    const denied = await kiln(['cancel', 'x']);
    expect(denied).toMatchObject({
      code: 3,
      error: 'this token may not do that: it lacks build\nkiln whoami shows what it may; use one that may do this\n',
    });
    expect((await kiln(['context', 'use', 'team'])).out).toBe('team is in use\n');
    expect((await kiln(['whoami'])).out).toContain('ada');
    expect((await kiln(['--context', 'ro', 'whoami'])).out).toMatch(/may +read\n/);
    expect((await kiln(['whoami'], { env: { KILN_CONTEXT: 'ro' } })).out).toMatch(/may +read\n/);
  });

  it('gives a token to nobody else', async () => {
    const asked: (string | undefined)[] = [];
    const stranger = createServer((request, response) => {
      asked.push(request.headers.authorization);
      if (request.url?.startsWith('/v1/me') === true) response.writeHead(401).end();
      else response.writeHead(307, { location: `http://localhost:${port()}/v1/me` }).end();
    });
    const port = (): number => (stranger.address() as AddressInfo).port;
    stranger.listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    try {
      const there = `http://127.0.0.1:${port()}`;
      const moved = await kiln(['context', 'update', 'ro', '--url', there]);
      expect(moved.error).toContain('is forgotten');
      expect(await kiln(['whoami', '--context', 'ro'])).toMatchObject({ code: 3 });
      expect(await kiln(['whoami'], { env: { KILN_URL: there } })).toMatchObject({ code: 3 });
      expect(asked).toEqual([undefined, undefined]);
      const redirected = await kiln(['builds'], { env: { KILN_URL: there, KILN_TOKEN: 'x' } });
      expect(redirected.error).toContain(`${there} is no farm: it redirects to http://localhost:${port()}\n`);
      expect(asked).toEqual([undefined, undefined, 'Bearer x']);
    } finally {
      stranger.close();
    }
  });

  it('exchanges an id token of the CI job', async () => {
    await using issuer = await OidcIssuer.start();
    await using client = new KilnClient({ baseUrl: farm.url, token: farm.tokens.owner });
    const rule = { name: 'ci', issuer: issuer.url, audience: 'kiln', scope: 'main', trust: 'protected' } as const;
    await client.access.createTrustRule({ ...rule, claims: { repository: 'acme/web' } });
    const sign = () => issuer.sign({ aud: 'kiln', ...idTokenClaims.github });
    const env = { KILN_ID_TOKEN: await sign() };
    const made = await kiln(['login', farm.url, '--oidc', '--project', 'mine', '--context', 'ci'], { env });
    expect(made).toMatchObject({ code: 0, error: '' });
    expect((await kiln(['whoami'])).out).toMatch(/whose +a CI system: /);
    const piped = ['login', farm.url, '--oidc-token-stdin', '--project', 'mine', '--context', 'ci'];
    expect(await kiln(piped, { input: await sign() })).toMatchObject({ code: 0 });
    // Without anything kept.
    const job = { KILN_URL: farm.url, KILN_OIDC: '1', KILN_PROJECT: 'mine', KILN_ID_TOKEN: await sign() };
    await kiln(['logout']);
    for (const name of ['ci', 'team', 'ro']) await kiln(['context', 'rm', '-f', name]);
    expect(await kiln(['builds'], { env: job })).toMatchObject({ code: 0 });
    expect(await kiln(['builds'], { env: { ...job, KILN_PROJECT: '' } })).toMatchObject({ code: 2 });
    expect(await kiln(['builds'], { env: { KILN_URL: farm.url } })).toMatchObject({ code: 3 });
    expect(JSON.parse(await readFile(join(home, 'kiln', 'config.json'), 'utf8'))).toEqual({ contexts: {} });
  });
});
