import { describe, expect, it } from 'vitest';
import { gitEndpoint, type GitSource, parseGitUrl, withoutCredentials } from './git-url.ts';

const all: GitSource = {
  transport: 'https',
  remote: 'https://host/x.git',
  ref: '',
  subdir: '',
  checksum: '',
  keepGitDir: undefined,
  submodules: true,
};

describe('parseGitUrl', () => {
  it.each<[string, Partial<GitSource>]>([
    ['https://host/x.git', {}],
    ['HTTPS://host/x.git', {}],
    ['https://host/x.git#main', { ref: 'main' }],
    ['https://host/x.git#main:sub/dir', { ref: 'main', subdir: 'sub/dir' }],
    ['https://host/x.git#:sub', { subdir: 'sub' }],
    ['https://host/x.git#main:../../etc', { ref: 'main', subdir: 'etc' }],
    ['https://host/x.git?ref=main&subdir=a', { ref: 'main', subdir: 'a' }],
    ['https://host/x.git?tag=v1', { ref: 'refs/tags/v1' }],
    ['https://host/x.git?branch=refs/heads/b', { ref: 'refs/heads/b' }],
    ['https://host/x.git?checksum=abc&keep-git-dir', { checksum: 'abc', keepGitDir: true }],
    ['https://host/x.git?commit=abc&submodules=false', { checksum: 'abc', submodules: false }],
    ['https://host/x.git?keep-git-dir=0&mtime=commit&fetch-by-commit=1', { keepGitDir: false }],
    ['http://u:p@host:80/x.git', { transport: 'http', remote: 'http://u:p@host/x.git' }],
    ['git://host/x', { transport: 'git', remote: 'git://host/x' }],
    ['ssh://git@host:22/x.git#v', { transport: 'ssh', remote: 'ssh://git@host:22/x.git', ref: 'v' }],
    ['git@host:a/x.git#v:d', { transport: 'ssh', remote: 'git@host:a/x.git', ref: 'v', subdir: 'd' }],
    ['git@host:a/x?ref=v', { transport: 'ssh', remote: 'git@host:a/x', ref: 'v' }],
  ])('%s', (text, expected) => {
    expect(parseGitUrl(text)).toEqual({ ...all, ...expected });
  });

  it.each([
    'https://host/x.tar.gz',
    'https://host/x.git/archive',
    'https://host/#x.git',
    './x.git',
    '../git@host:x',
    'x.git',
    'ftp://host/x.git',
    'github.com/a/b',
    'file:///x.git',
    'C:\\x.git',
  ])('%s is none', (text) => {
    expect(parseGitUrl(text)).toBeUndefined();
  });

  it.each([
    ['https://host/x.git?nonsense=1', /not known: nonsense/],
    ['https://host/x.git?ref=', /no value for ref/],
    ['https://host/x.git?ref=a&ref=b', /several values/],
    ['https://host/x.git?ref=a#b', /two refs: b and a/],
    ['https://host/x.git?tag=a&branch=b', /two refs/],
    ['https://host/x.git?submodules=maybe', /neither true nor false/],
    ['https://host/x.git?mtime=now', /checkout or commit/],
    ['https://host/x.git#--upload-pack=x', /no ref that git takes/],
    ['https://host/x.git#a%0ab', /no ref that git takes/],
    ['https://%zz@host/x.git', /a % in its user or password/],
    ['ssh://git:100%@host/x', /a % in its user or password/],
    ['ssh:///x', /names no host/],
  ])('%s is refused', (text, message) => {
    expect(() => parseGitUrl(text)).toThrow(message);
  });
});

describe('withoutCredentials', () => {
  it.each([
    ['https://u:p@host/a@b', 'https://host/a@b'],
    ['https://host/a@b', 'https://host/a@b'],
    ['https://token@host', 'https://host'],
    ['git@host:a/b', 'git@host:a/b'],
    ['ssh://git@host/a ssh://git:pw@host/a', 'ssh://git@host/a ssh://git@host/a'],
    ['git://u@host/a', 'git://host/a'],
  ])('%s', (text, shown) => {
    expect(withoutCredentials(text)).toBe(shown);
  });
});

describe('gitEndpoint', () => {
  it.each([
    ['https://host/x.git', 'https', 'host', 443],
    ['http://u:p@host:81/x.git', 'http', 'host', 81],
    ['ssh://git@host/x', 'ssh', 'host', 22],
    ['ssh://git@[::1]:2222/x', 'ssh', '::1', 2222],
    ['git@host.example:a/b', 'ssh', 'host.example', 22],
    ['git://host/x', 'git', 'host', 9418],
  ])('%s', (remote, transport, host, port) => {
    expect(gitEndpoint(remote)).toEqual({ transport, host, port });
  });

  it.each(['file:///x', '/x', 'ext::sh -c x', 'ssh://-oProxyCommand=x/y', 'git@-o:x', "ssh://a'b/x", 'ssh:///x'])(
    '%s is nowhere',
    (remote) => {
      expect(gitEndpoint(remote)).toBeUndefined();
    },
  );
});
