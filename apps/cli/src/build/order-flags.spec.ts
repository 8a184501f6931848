import { describe, expect, it } from 'vitest';
import { readOrderFlags, withSurroundings } from './order-flags.ts';

const commit = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d';
const drone = { DRONE: 'true', DRONE_BRANCH: 'main', DRONE_COMMIT_SHA: commit, DRONE_COMMIT_AUTHOR: 'ada' };
const nowhere = { cwd: '/', environment: {} };

describe('what a build is of', () => {
  it('is what the flags say, and the job for the rest', () => {
    const order = readOrderFlags({ branch: 'side', pullRequest: '7', priority: 'high', supersede: true });
    expect(withSurroundings(order, '.', { cwd: '/', environment: drone })).toEqual({
      source: { branch: 'side', pullRequest: '7', commit, author: 'ada' },
      priority: 'high',
      supersede: true,
    });
  });

  it('is nothing outside of a job and a checkout', () => {
    for (const path of ['.', '-', 'https://git.example/x.git'])
      expect(withSurroundings(readOrderFlags({}), path, nowhere).source).toEqual({});
  });

  it.each([
    [{ commit: 'abc' }, '--commit: the 40 or 64 digits'],
    [{ sourceUrl: 'x' }, '--source-url: '],
    [{ sourceRepository: 'https://a:b@c/d' }, '--source-repository: a URL without a password'],
    [{ pullRequest: '' }, '--pull-request: '],
    [{ priority: 'hihg' }, '--priority hihg is not known; did you mean high?'],
  ])('%j is refused', (flags, why) => {
    expect(() => readOrderFlags(flags)).toThrow(why);
  });

  it('has to be known to supersede others', () => {
    const order = readOrderFlags({ supersede: true });
    expect(() => withSurroundings(order, '.', nowhere)).toThrow('this one’s branch is not known');
    const branch = readOrderFlags({ supersede: true, branch: 'main' });
    expect(() => withSurroundings(branch, '.', nowhere)).toThrow('this one’s commit is not known');
  });
});
