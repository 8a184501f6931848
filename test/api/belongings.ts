import { FolderContentStore } from '#content';
import { encodeManifest, makeManifest } from '#context';
import { digestOf } from '#oci';
import { CONTEXT_MANIFEST_TYPE } from '#protocol';
import { single, systemRandom } from '#std';
import request from 'supertest';
import { z } from 'zod';
import { asker } from './caller.ts';
import { claimed, type Farm, submitted, succeeded } from './farm.ts';
import { keptImage } from './kept-image.ts';

/** Stands in everything that the project `mine` has. */
export const MARK = 'mark5203';

/** How a route is asked for what belongs to the project `mine`. */
export interface Asked {
  /** the route's, with its parameters filled */
  readonly path: string;
  readonly body?: object | string;
  readonly type?: string;
  /**
   * what another project gets: `gone` is 404, `nothing` an answer of its own without anything of `mine`, `missing` that it has
   * not sent what `mine` has; `shut` is 403, for a route that is about more than a project, `unfit` 409, for one that is about
   * a browser's session
   */
  readonly answer: 'gone' | 'nothing' | 'missing' | 'shut' | 'unfit';
}

/** One of each thing that a project has, and how each route, as `get /v1/builds/{id}`, is asked for it. */
export async function belongings(farm: Farm): Promise<Readonly<Record<string, Asked>>> {
  const ask = asker(() => farm);
  const { mine } = farm.tokens;
  const made = async (path: string, body: object): Promise<string> => {
    const answer = await ask('post', path, mine, body);
    if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`);
    return z.object({ id: z.string() }).parse(answer.body).id;
  };
  const text = `a file of ${MARK}`;
  const digest = digestOf(text);
  await request(farm.url)
    .put(`/v1/blobs/${digest}`)
    .set('authorization', `Bearer ${mine}`)
    .type('application/octet-stream')
    .send(text);
  const file = { path: MARK, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, size: text.length, digest } as const;
  const manifest = encodeManifest(makeManifest([file])).toString();
  const id = await submitted(farm, { tags: [`acme/${MARK}`] });
  const claim = await claimed(farm, id);
  const image = encodeURIComponent((await keptImage(farm, claim, MARK)).descriptor.digest);
  const content = new FolderContentStore({ root: farm.contentDir, random: systemRandom });
  const output = { type: 'oci' as const, ...(await content.put(single(Buffer.from(MARK)))) };
  await succeeded(farm, claim, [output]);
  const rule = {
    ...{ name: MARK, issuer: 'https://issuer.example', audience: 'kiln', claims: { repository: `acme/${MARK}` } },
    ...{ scope: 'main', trust: 'branch' },
  };
  const ruleId = await made('/v1/trust-rules', rule);
  const tokenId = await made('/v1/tokens', { name: MARK, permissions: ['read'] });
  const hooks = '/v1/projects/mine/webhooks';
  const hookId = await made(hooks, { name: MARK, url: 'http://127.0.0.1:1' });
  // In a project that the token has: the webhook is not of it.
  const hook = `/v1/projects/other/webhooks/${hookId}`;
  await ask('post', '/v1/scopes', mine, { name: MARK, trust: 'branch' });
  const host = 'registry.example';
  const credentials = { username: MARK, password: MARK };
  await ask('put', `/v1/registries/${host}`, mine, credentials);
  const build = `/v1/builds/${id}`;
  const ofImage = `/v1/images/${image}`;
  const gone = (path: string, body?: object): Asked => ({ path, ...(body && { body }), answer: 'gone' });
  const nothing = (path: string, body?: object): Asked => ({ path, ...(body && { body }), answer: 'nothing' });
  const shut = (path: string, body?: object): Asked => ({ path, ...(body && { body }), answer: 'shut' });
  const contexts = { context: { digest: digestOf(manifest) } };
  return {
    'get /metrics': shut('/metrics'),
    'get /v1/audit': nothing('/v1/audit'),
    'post /v1/blobs': { path: '/v1/blobs', body: '\0'.repeat(1024), type: 'application/x-tar', answer: 'nothing' },
    'put /v1/blobs/{digest}': gone(`/v1/blobs/${digest}`, { parts: [digest] }),
    'post /v1/blobs/missing': { path: '/v1/blobs/missing', body: { digests: [digest] }, answer: 'missing' },
    'get /v1/builders': nothing('/v1/builders'),
    'post /v1/builders/{id}/drain': shut('/v1/builders/builder/drain'),
    'delete /v1/builders/{id}/drain': shut('/v1/builders/builder/drain'),
    'post /v1/builds': gone('/v1/builds', { request: {}, contexts }),
    'get /v1/builds': gone('/v1/builds?project=mine'),
    'get /v1/builds/{id}': gone(build),
    'post /v1/builds/{id}/cancel': gone(`${build}/cancel`),
    'get /v1/builds/{id}/explain': gone(`${build}/explain`),
    'get /v1/builds/{id}/logs': gone(`${build}/logs`),
    'get /v1/builds/{id}/logs/search': gone(`${build}/logs/search?text=${MARK}`),
    'get /v1/builds/{id}/outputs/{n}': gone(`${build}/outputs/0`),
    'get /v1/builds/{id}/provenance': gone(`${build}/provenance`),
    'post /v1/builds/{id}/retry': gone(`${build}/retry`, {}),
    'get /v1/builds/{id}/steps': gone(`${build}/steps`),
    'post /v1/cache/disown': gone('/v1/cache/disown', { buildId: id }),
    'get /v1/cache/growth': gone('/v1/cache/growth?project=mine'),
    'get /v1/cache/misses': gone('/v1/cache/misses?project=mine'),
    'post /v1/cache/prune': nothing('/v1/cache/prune', { dryRun: true }),
    'get /v1/cache/reruns': gone('/v1/cache/reruns?project=mine'),
    'get /v1/cache/statistics/series': gone('/v1/cache/statistics/series?project=mine'),
    'get /v1/cache/statistics': gone('/v1/cache/statistics?project=mine'),
    'get /v1/cache/usage': gone('/v1/cache/usage?project=mine'),
    'post /v1/contexts': { path: '/v1/contexts', body: manifest, type: CONTEXT_MANIFEST_TYPE, answer: 'missing' },
    'get /v1/images': nothing('/v1/images?all=true'),
    'get /v1/images/{image}': gone(ofImage),
    'delete /v1/images/{image}': gone(ofImage),
    'get /v1/images/{image}/attestations/{digest}': gone(`${ofImage}/attestations/${digest}`),
    'get /v1/images/{image}/changes': gone(`${ofImage}/changes?with=${image}`),
    'get /v1/images/{image}/layers': gone(`${ofImage}/layers`),
    'post /v1/images/{image}/push': gone(`${ofImage}/push`, { names: ['registry.example/stolen:1'] }),
    'post /v1/images/{image}/run': gone(`${ofImage}/run`, { pull: 'never' }),
    'post /v1/images/{image}/tag': gone(`${ofImage}/tag`, { name: 'acme/stolen:1' }),
    'get /v1/me': nothing('/v1/me'),
    'get /v1/members': shut('/v1/members'),
    'put /v1/members/{name}': shut('/v1/members/ada', { role: 'viewer' }),
    'delete /v1/members/{name}': shut('/v1/members/ada'),
    'get /v1/projects': nothing('/v1/projects'),
    'post /v1/projects': shut('/v1/projects', { name: 'mine' }),
    'get /v1/projects/{project}': gone('/v1/projects/mine'),
    'put /v1/projects/{project}/badge': gone('/v1/projects/mine/badge', { public: true }),
    'get /v1/projects/{project}/webhooks': gone(hooks),
    'post /v1/projects/{project}/webhooks': gone(hooks, { url: 'http://127.0.0.1:1' }),
    'get /v1/projects/{project}/webhooks/{id}': gone(hook),
    'patch /v1/projects/{project}/webhooks/{id}': gone(hook, { name: 'stolen' }),
    'delete /v1/projects/{project}/webhooks/{id}': gone(hook),
    'get /v1/projects/{project}/webhooks/{id}/deliveries': gone(`${hook}/deliveries`),
    'post /v1/projects/{project}/webhooks/{id}/deliveries/{delivery}/redeliver': gone(`${hook}/deliveries/x/redeliver`),
    'post /v1/projects/{project}/webhooks/{id}/ping': gone(`${hook}/ping`),
    'get /v1/registries': nothing('/v1/registries'),
    'get /v1/registries/{host}': gone(`/v1/registries/${host}`),
    'put /v1/registries/{host}': nothing('/v1/registries/own.example', { username: 'own', password: 'own' }),
    'delete /v1/registries/{host}': gone(`/v1/registries/${host}`),
    'get /v1/scopes': nothing('/v1/scopes'),
    'post /v1/scopes': nothing('/v1/scopes', { name: 'own', trust: 'branch' }),
    'post /v1/session/codes': nothing('/v1/session/codes'),
    'get /v1/session/projects': nothing('/v1/session/projects'),
    'post /v1/session/project': { path: '/v1/session/project', body: { project: 'mine' }, answer: 'unfit' },
    'get /v1/tokens': nothing('/v1/tokens?all=true'),
    'post /v1/tokens': gone('/v1/tokens', { name: 'x', permissions: ['read'], project: 'mine' }),
    'delete /v1/tokens/{id}': gone(`/v1/tokens/${tokenId}`),
    'get /v1/trust-rules': nothing('/v1/trust-rules'),
    'post /v1/trust-rules': nothing('/v1/trust-rules', { ...rule, name: 'own', claims: { repository: 'acme/own' } }),
    'get /v1/trust-rules/{id}': gone(`/v1/trust-rules/${ruleId}`),
    'put /v1/trust-rules/{id}': gone(`/v1/trust-rules/${ruleId}`, rule),
    'delete /v1/trust-rules/{id}': gone(`/v1/trust-rules/${ruleId}`),
    'post /v1/trust-rules/try': nothing('/v1/trust-rules/try', {
      rule: { ...rule, name: 'own', claims: { repository: 'acme/own' } },
      claims: { repository: 'acme/own' },
    }),
  };
}
