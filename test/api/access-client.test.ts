import { KilnClient } from '#client';
import { ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '#protocol';
import { isKilnError } from '#std';
import { idTokenClaims, OidcIssuer } from '#testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runProgram } from '../../apps/cli/src/program.ts';
import { type Farm, startFarm } from './farm.ts';

let farm: Farm;
let client: KilnClient;
beforeAll(async () => {
  farm = await startFarm({ KILN_OIDC_EGRESS_ALLOW: '127.0.0.0/8' });
  client = new KilnClient({ baseUrl: farm.url, token: farm.tokens.owner });
});
afterAll(async () => {
  await client.close();
  await farm[Symbol.asyncDispose]();
});

describe('the client', () => {
  it('has all of the API of who may do what', async () => {
    const { access } = client;
    const made = await access.createToken({ name: 'ci', permissions: ['read'] });
    expect((await access.tokens({ all: true, limit: 1 })).tokens[0]?.id).toBe(made.id);
    await access.revokeToken(made.id);
    await expect(access.revokeToken('nothing')).rejects.toSatisfy((thrown) => isKilnError(thrown, 'NOT_FOUND'));
    expect(await access.createProject({ name: 'team/web' })).toMatchObject({ name: 'team/web' });
    expect(await access.project('mine')).toMatchObject({ badge: { public: false } });
    expect((await access.projects({ cursor: 'other' })).projects.map(({ name }) => name)).toEqual(['team/web']);
    expect(await access.putMember('bob/b', { role: 'viewer' })).toMatchObject({ name: 'bob/b' });
    expect((await access.members()).members).toHaveLength(2);
    await access.removeMember('bob/b');
    expect(await access.createScope({ name: 'x', parent: 'main' })).toMatchObject({ trust: 'branch' });
    expect((await access.scopes()).scopes).toHaveLength(2);
    expect(await access.putRegistry('a.example:5000', { identityToken: 'x' })).toMatchObject({ username: null });
    expect(await access.registries()).toHaveLength(1);
    await access.removeRegistry('a.example:5000');
    expect((await access.audit({ limit: 1 })).entries).toMatchObject([{ action: 'registry.remove' }]);
  });

  it('has webhooks', async () => {
    const { access } = client;
    const { project } = await access.me();
    const { id } = await access.createWebhook(project, { url: 'https://hooks.invalid' });
    expect(await access.changeWebhook(project, id, { events: ['build.failed'] })).toMatchObject({ id });
    expect(await access.webhooks(project)).toMatchObject([{ id, events: ['build.failed'], enabled: true }]);
    const ping = await access.pingWebhook(project, id);
    expect((await access.webhookDeliveries(project, id, { limit: 1 })).deliveries[0]?.id).toBe(ping.id);
    expect(await access.redeliverWebhook(project, id, ping.id)).toMatchObject({ id: ping.id, state: 'pending' });
    await access.removeWebhook(project, id);
    expect(await access.webhooks(project)).toEqual([]);
  });

  it('exchanges id tokens', async () => {
    await using issuer = await OidcIssuer.start();
    const request = { name: 'ci', issuer: issuer.url, audience: 'kiln', scope: 'main', trust: 'protected' } as const;
    const claims = { repository: 'acme/web' };
    const { id } = await client.access.createTrustRule({ ...request, claims });
    const tried = await client.access.tryTrustRule({ rule: { ...request, claims }, claims: idTokenClaims.github });
    expect(tried).toMatchObject({ scope: 'main' });
    await client.access.replaceTrustRule(id, { ...request, claims, name: 'other' });
    expect(await client.access.trustRules()).toMatchObject([{ id, name: 'other' }]);
    await using nobody = new KilnClient({ baseUrl: farm.url });
    const given = await nobody.access.exchange({
      grant_type: TOKEN_EXCHANGE,
      subject_token_type: ID_TOKEN_TYPE,
      subject_token: await issuer.sign({ aud: 'kiln', ...idTokenClaims.github }),
      project: 'mine',
    });
    expect(given).toMatchObject({ cache_scope: 'main', trust: 'protected' });
    await client.access.removeTrustRule(id);
  });
});

describe('the command line', () => {
  /** What a command prints on standard output. */
  async function kiln(...args: readonly string[]): Promise<string> {
    let said = '';
    vi.stubEnv('KILN_URL', farm.url);
    vi.stubEnv('KILN_TOKEN', farm.tokens.owner);
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
    try {
      await runProgram(args);
    } finally {
      vi.restoreAllMocks();
      vi.unstubAllEnvs();
    }
    return said;
  }

  it('makes, lists and revokes tokens', async () => {
    const token = (await kiln('token', 'create', 'deploy', '--permission', 'read', '--expires', '1h')).trim();
    expect(token).toMatch(/^kiln_[0-9a-z]{40}$/);
    const [, id = ''] = /^(\S+) +deploy +read +mine\/main +the project/m.exec(await kiln('token', 'ls')) ?? [];
    expect(await kiln('token', 'revoke', id)).toBe(`${id} is revoked\n`);
    expect(await kiln('token', 'ls')).not.toContain('deploy');
    expect(await kiln('token', 'ls', '--all')).toMatch(/deploy .* revoked/);
    expect(JSON.parse(await kiln('token', 'create', 'x', '--json'))).toMatchObject({ name: 'x', project: 'mine' });
  });

  it('makes, lists, tries and removes webhooks', async () => {
    const url = 'https://hooks.invalid/kiln';
    const secret = (await kiln('webhook', 'create', url, '--event', 'build.failed', '--name', 'chat')).trim();
    expect(secret).toMatch(/^whsec_/);
    const [, id = ''] = /^(\S+) +chat +\S+ +build\.failed +enabled/m.exec(await kiln('webhook', 'ls')) ?? [];
    const [, ping = ''] = /^(\S+) is on its way\n$/.exec(await kiln('webhook', 'ping', id)) ?? [];
    expect(await kiln('webhook', 'deliveries', id)).toMatch(new RegExp(`^${ping} +ping +– +pending`, 'm'));
    expect(JSON.parse(await kiln('webhook', 'redeliver', id, ping, '--json'))).toMatchObject({ id: ping });
    expect(await kiln('webhook', 'rm', id)).toBe(`${id} is removed\n`);
    expect(JSON.parse(await kiln('webhook', 'ls', '--json'))).toEqual({ webhooks: [] });
  });

  it('takes members in, changes and lists them, and takes them out', async () => {
    expect(await kiln('member', 'create', 'hal')).toContain(
      'hal is a member: developer; kiln token create hal --member',
    );
    const said = await kiln('member', 'update', 'hal', '--email', 'Hal@example.com');
    expect(said).toBe('hal is changed: developer; signs in as hal@example.com\n');
    expect(await kiln('member', 'update', 'hal', '--role', 'viewer')).toContain('viewer; signs in as hal@example.com');
    expect(await kiln('member', 'ls')).toMatch(/^hal +viewer +hal@example\.com +not yet/m);
    const shown = JSON.parse(await kiln('member', 'update', 'hal', '--no-email', '--json')) as unknown;
    expect(shown).toMatchObject({ name: 'hal', role: 'viewer', email: null });
    await expect(kiln('member', 'create', 'hal', '--role', 'owner')).rejects.toThrow('is a member already');
    await expect(kiln('member', 'update', 'nobody', '--role', 'owner')).rejects.toThrow('no member nobody');
    for (const wrong of [[], ['--role', 'boss'], ['--email', 'hal']])
      await expect(kiln('member', 'update', 'hal', ...wrong)).rejects.toThrow(/nothing is|one of|no e-mail/);
    expect(await kiln('member', 'rm', 'hal')).toBe('hal is a member no more\n');
    expect(JSON.parse(await kiln('member', 'ls', '--json'))).not.toMatchObject({ members: [{}, { name: 'hal' }] });
  });

  it('makes and lists projects', async () => {
    expect(await kiln('project', 'create', 'shop')).toBe('shop is made in the team default\n');
    expect(await kiln('project', 'ls')).toMatch(/^shop +default/m);
    expect(JSON.parse(await kiln('project', 'ls', '--json'))).toMatchObject({
      projects: [{ name: 'mine' }, {}, {}, {}],
    });
  });
});
