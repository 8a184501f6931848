import { digestOf } from '#oci';
import { BuildExplanation, Provenance, StepList } from '#protocol';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimed, type Farm, startFarm, submitted } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

const get = (path: string, token = farm.tokens.reader) =>
  request(farm.url).get(path).set('authorization', `Bearer ${token}`);

describe('an explanation', () => {
  it('tells of a build without a plan that there is nothing to tell', async () => {
    const id = await submitted(farm);
    const explained = BuildExplanation.parse((await get(`/v1/builds/${id}/explain`)).body);
    expect(explained).toMatchObject({ buildId: id, state: 'queued', compared: null, causes: [], steps: [], hints: [] });
    expect(StepList.parse((await get(`/v1/builds/${id}/steps`)).body)).toEqual({ steps: [] });
  });

  it('names the first cause, what followed it, and what was found', async () => {
    const id = await submitted(farm);
    const claim = await claimed(farm, id);
    const [copy, run, found] = [digestOf('copy'), digestOf('run'), digestOf('found')];
    const vertices = [found, copy, run].map((vertex, at) => ({
      ...{ vertex, name: `[${at + 2}/4] ${['WORKDIR /a', 'COPY . .', 'RUN npm ci'][at]}`, stage: 's', line: at + 2 },
      ...{ step: true, inputs: [] },
    }));
    const changes = [{ kind: 'files' as const, source: 'context', total: 0, files: [] }];
    const cause = { kind: 'changed' as const, changes };
    const step = { vertex: copy, name: '[3/4] COPY . .', line: 3 };
    const done = { type: 'vertexDone', atMs: 5 } as const;
    const hit = {
      key: 'definition' as const,
      buildId: 'b',
      builderId: 'n',
      scope: 'main',
      savedMs: 700,
      savedBytes: 9,
    };
    await farm.ledger.append(claim, [
      { type: 'planned', atMs: 1, vertices },
      { ...done, vertex: found, outcome: 'hit', durationMs: 0, hit },
      { ...done, vertex: copy, outcome: 'run', durationMs: 10, miss: 'files changed', cause },
      {
        ...done,
        vertex: run,
        outcome: 'run',
        durationMs: 900,
        miss: 'follows',
        cause: { kind: 'followed', step, cause },
      },
    ]);
    const explained = BuildExplanation.parse((await get(`/v1/builds/${id}/explain`)).body);
    expect(explained).toMatchObject({ savedMs: 700, savedBytes: 9, spentMs: 910 });
    expect(explained.causes).toMatchObject([
      { step, cause, spentMs: 10, followedMs: 900, followed: [{ vertex: run }] },
    ]);
    expect(explained.hints[0]?.snippet?.lines[0]).toBe('COPY package.json package-lock.json ./');
    const { steps } = StepList.parse((await get(`/v1/builds/${id}/steps`)).body);
    expect(steps.map(({ state }) => state)).toEqual(['hit', 'run', 'run']);
  });

  it('has the provenance of the image beside it', async () => {
    const id = await submitted(farm);
    const claim = await farm.ledger.claim(id, 1, 'one');
    if (claim === null) throw new Error('there is nothing to claim');
    const digest = digestOf('made');
    const result = {
      ...{ digest, names: ['docker.io/acme/made:1'], durationMs: 1, savedMs: 0, outputs: [] },
      ...{ steps: { total: 0, hit: 0, run: 0, joined: 0 }, bytes: { contextSent: 0, pulled: 0, pushed: 0 } },
    };
    await farm.ledger.finish(claim, { type: 'succeeded', atMs: 9, result });
    const made = Provenance.parse((await get(`/v1/builds/${id}/provenance`)).body);
    expect(made.subject).toEqual([
      { name: 'docker.io/acme/made:1', digest: { sha256: digest.slice('sha256:'.length) } },
    ]);
    expect(made.predicate.buildDefinition.internalParameters).toMatchObject({ project: 'mine', reused: [] });
  });

  it('has no provenance beside it where no image was made, and says how there is one', async () => {
    const answer = await get(`/v1/builds/${await submitted(farm)}/provenance`);
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining('-t') as string });
  });

  it('is for who may read the project', async () => {
    const id = await submitted(farm);
    for (const path of ['explain', 'steps', 'provenance'].map((word) => `/v1/builds/${id}/${word}`)) {
      expect((await get(path, farm.tokens.other)).status).toBe(404);
      expect((await get(path, 'kiln_nope')).status).toBe(401);
    }
    expect((await get('/v1/builds/nothing/explain')).body).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });
});
