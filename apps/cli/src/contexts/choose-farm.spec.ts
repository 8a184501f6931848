import { describe, expect, it } from 'vitest';
import type { Contexts } from './context-file.ts';
import { chooseFarm, type FarmWords } from './choose-farm.ts';

const token = (origin: string) => ({ value: `token of ${origin}`, origin, expiresAt: null });
const contexts: Contexts = {
  current: 'team',
  contexts: {
    team: { url: 'https://team.example', token: token('https://team.example') },
    other: { url: 'https://other.example/kiln', token: token('https://other.example') },
    moved: { url: 'https://evil.example', token: token('https://team.example') },
    fresh: { url: 'https://fresh.example' },
  },
};
const nothing: FarmWords = { url: undefined, token: undefined, context: undefined, data: undefined };
const chosen = (words: Partial<FarmWords>, known = contexts) => chooseFarm({ ...nothing, ...words }, () => known);

describe('the farm that a command is for', () => {
  it.each<[string, Partial<FarmWords>, string | undefined, string | undefined]>([
    [
      'KILN_URL before all',
      { url: 'https://a.example/', context: 'other', data: '/d' },
      'https://a.example',
      undefined,
    ],
    ['the named context before the one in use', { context: 'other' }, 'https://other.example/kiln', 'other'],
    ['the named context before --data', { context: 'other', data: '/d' }, 'https://other.example/kiln', 'other'],
    ['--data before the one in use', { data: '/d' }, undefined, undefined],
    ['the one in use', {}, 'https://team.example', 'team'],
    ['default, when it is named', { context: 'default' }, undefined, undefined],
  ])('is %s', (_, words, url, context) => {
    const farm = chosen(words);
    expect([farm?.url, farm?.context]).toEqual([url, context]);
  });

  it('is that of this machine when nothing is said', () => {
    expect(chosen({}, { contexts: {} })).toBeUndefined();
  });

  it('is refused when there is no such context', () => {
    expect(() => chosen({ context: 'lost' })).toThrow('there is no context "lost"');
    expect(() => chosen({ context: 'constructor' })).toThrow('there is no context');
    expect(() => chosen({}, { current: 'gone', contexts: {} })).toThrow('there is no context "gone"');
  });

  it('is not asked for where the file is not needed', () => {
    const unread = (): Contexts => {
      throw new Error('read');
    };
    expect(chooseFarm({ ...nothing, url: 'https://a.example', token: 't' }, unread)?.token).toBe('t');
    expect(chooseFarm({ ...nothing, data: '/d' }, unread)).toBeUndefined();
  });
});

describe('a token', () => {
  it('goes to the farm that it was saved for', () => {
    expect(chosen({})?.token).toBe('token of https://team.example');
    expect(chosen({ url: 'https://team.example/' })?.token).toBe('token of https://team.example');
  });

  it('goes to no other', () => {
    expect(chosen({ context: 'moved' })?.token).toBeUndefined();
    for (const url of [
      'https://evil.example',
      'http://team.example',
      'https://team.example:444',
      'https://team.example.evil',
    ])
      expect(chosen({ url })?.token).toBeUndefined();
    expect(chosen({ context: 'fresh' })?.token).toBeUndefined();
  });

  it('of the environment goes to KILN_URL alone', () => {
    expect(chosen({ token: 'mine', url: 'https://a.example' })?.token).toBe('mine');
    expect(chosen({ token: 'mine' })?.token).toBe('token of https://team.example');
    expect(chosen({ token: 'mine', context: 'fresh' })?.token).toBeUndefined();
  });
});
