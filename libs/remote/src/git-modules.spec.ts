import { describe, expect, it } from 'vitest';
import { readModuleUrls, readSubmodules, submoduleUrl } from './git-modules.ts';

const commit = 'a'.repeat(40);

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

describe('submodules', () => {
  it('are told from files, however the listing is cut', async () => {
    const listing = `100644 blob ${commit}\tfile\n160000 commit x\x00160000 commit ${commit}\ta\nb/c\0`;
    const found = await readSubmodules(chunks(listing.slice(0, 60), listing.slice(60, 100), listing.slice(100)));
    expect(found).toEqual([{ path: 'a\nb/c', commit }]);
  });

  it('are named by .gitmodules', () => {
    const listing = 'submodule.a.b.path\nlib/ab\0submodule.a.b.url\n../b.git\0submodule.c.path\nc\0core.x\ny\0';
    expect(readModuleUrls(listing)).toEqual(new Map([['lib/ab', '../b.git']]));
  });

  it('are taken from where their repository is, by ways that git may go', () => {
    const parent = 'https://host/group/x.git';
    expect(submoduleUrl('p', '../y.git', parent)).toBe('https://host/group/y.git');
    expect(submoduleUrl('p', './y.git', parent)).toBe('https://host/group/x.git/y.git');
    expect(submoduleUrl('p', 'http://other/y', parent)).toBe('http://other/y');
    expect(submoduleUrl('p', 'git@host:a/x', parent)).toBe('git@host:a/x');
    expect(submoduleUrl('p', '../y.git', 'git@host:group/x.git')).toBe('git@host:group/y.git');
    expect(submoduleUrl('p', '../y.git', 'git@host:x.git')).toBe('git@host:y.git');
    expect(submoduleUrl('p', '../y.git', 'ssh://git@host:2222/group/x.git')).toBe('ssh://git@host:2222/group/y.git');
    expect(submoduleUrl('p', '../y.git', 'git://host/group/x.git')).toBe('git://host/group/y.git');
    for (const url of [undefined, '/etc', 'file:///etc', 'ext::sh -c id', 'ssh://-oProxyCommand=id/x', 'git@-o:x']) {
      expect(() => submoduleUrl('p', url, parent), url).toThrow(/submodule/);
    }
    expect(() => submoduleUrl('p', '../../y.git', 'git@host:x.git')).toThrow(/submodule/);
  });
});
