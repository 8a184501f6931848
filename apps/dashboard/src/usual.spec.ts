import { describe, expect, it } from 'vitest';
import { BuildRequest, BuildView, StoredRequest } from '#protocol';
import { kindOf, usualMs } from './usual.ts';

const build = (tookMs: number, more: object = {}, state = 'succeeded'): BuildView =>
  BuildView.parse({
    ...{ id: 'b', url: 'https://farm.example/b/b', project: 'shop', scope: 'main', state, attempt: 1 },
    ...{ createdAt: new Date(0).toISOString(), startedAt: new Date(1_000).toISOString() },
    finishedAt: new Date(1_000 + tookMs).toISOString(),
    request: StoredRequest.parse({
      ...BuildRequest.omit({ credentials: true, secrets: true }).parse({}),
      ...more,
    }),
    context: { digest: `sha256:${'0'.repeat(64)}`, files: 1, sizeBytes: 1 },
    ...{ result: null, failure: null },
  });

describe('what a build usually takes', () => {
  it('is the middle of those of its kind that succeeded, whatever their tags', () => {
    const tags = (tag: string) => ({ tags: [`r.example:5000/app:${tag}`] });
    const builds = [build(9_000, tags('3')), build(1_000, tags('1')), build(2_000, tags('2')), build(5, {}, 'failed')];
    const usual = usualMs(builds);
    expect([...usual.values()]).toEqual([2_000]);
    expect(usual.get(kindOf(build(0, tags('4')).request))).toBe(2_000);
    expect(usual.get(kindOf(build(0, { ...tags('4'), target: 'test' }).request))).toBeUndefined();
  });

  it('is not told of fewer than three, nor of pushes', () => {
    expect(usualMs([build(1), build(2)]).size).toBe(0);
    expect(usualMs([1, 2, 3].map((ms) => build(ms, { call: 'push' }))).size).toBe(0);
  });
});
