import { describe, expect, it } from 'vitest';
import { checkFlags } from './build-flags.ts';

const flags = { cache: true, progress: 'auto', network: 'default' } as const;

describe('a repository by ssh', () => {
  it('is lent the agent, whatever --ssh names', () => {
    const agents = (path: string, ssh?: readonly string[]): readonly string[] =>
      checkFlags(path, { ...flags, ...(ssh === undefined ? {} : { ssh }) }, {}).run.agents.map(({ id }) => id);
    expect(agents('git@host:x.git')).toEqual(['default']);
    expect(agents('git@host:x.git', ['default=/k', 'other'])).toEqual(['default', 'other']);
    expect(agents('.')).toEqual([]);
    expect(agents('git://host/x')).toEqual([]);
  });
});

describe('--tag', () => {
  it.each([
    ['acme/Case', 'not an image name: "acme/Case" (names are in lower case)'],
    ['a b', 'not an image name: "a b"'],
  ])('%j is refused before anything is sent', (tag, why) => {
    expect(() => checkFlags('.', { ...flags, tag: [tag] }, {})).toThrow(`--tag: ${why}`);
  });

  it('takes what a registry takes', () => {
    const tag = ['app', '127.0.0.1:5000/acme/app:1.2'];
    expect(checkFlags('.', { ...flags, tag }, {}).tags).toEqual(tag);
  });
});
