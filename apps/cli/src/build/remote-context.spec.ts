import { describe, expect, it } from 'vitest';
import { isBySsh, remoteContext } from './remote-context.ts';

describe('remoteContext', () => {
  it.each([
    ['https://host/x.git', 'git', 'https://host/x.git'],
    ['https://host/x.git#main:dir', 'git', 'https://host/x.git#main:dir'],
    ['http://host/x.git?ref=a', 'git', 'http://host/x.git?ref=a'],
    ['git@host:a/b', 'git', 'git@host:a/b'],
    ['ssh://git@host/a', 'git', 'ssh://git@host/a'],
    ['git://host/a', 'git', 'git://host/a'],
    ['github.com/a/b#v1', 'git', 'https://github.com/a/b.git#v1'],
    ['github.com/a/b.git', 'git', 'https://github.com/a/b.git'],
    ['https://host/x.tar.gz', 'http', 'https://host/x.tar.gz'],
    ['https://host/?x.git', 'http', 'https://host/?x.git'],
  ])('%s', (text, type, url) => {
    expect(remoteContext(text)).toEqual({ type, url });
  });

  it.each([
    ['git@host:a/b', true],
    ['ssh://git@host/a', true],
    ['SSH://host/a', true],
    ['git://host/a', false],
    ['https://host/x.git', false],
    ['github.com/a/b', false],
    ['./x.git', false],
  ])('%s needs an agent: %s', (text, needs) => {
    expect(isBySsh(text)).toBe(needs);
  });

  it.each(['.', './x.git', '/a/b', 'x.git', 'a@b', 'C:\\x'])('%s is a directory', (text) => {
    expect(remoteContext(text)).toBeUndefined();
  });
});
