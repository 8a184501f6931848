import { describe, expect, it } from 'vitest';
import type { Tree, TreeEntry } from '#content';
import { digestOf } from '#oci';
import { exactPattern, shown, shownDigest } from './shown.ts';

const base = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
const file = (path: string, text = path): TreeEntry => ({
  ...base,
  path,
  type: 'file',
  size: text.length,
  digest: digestOf(text),
});
const tree = (...entries: readonly TreeEntry[]): Tree => new Map(entries.map((entry) => [entry.path, entry]));
const dir = (path: string, more: Partial<TreeEntry> = {}): TreeEntry => ({ ...base, path, type: 'dir', ...more });
const link = (path: string, to: string): TreeEntry => ({ ...base, path, type: 'symlink', link: to });

const whole = tree(dir('src'), file('src/a'), dir('src/deep'), file('src/deep/b'), file('other'), link('to', 'src'));

describe('what a mount shows', () => {
  it('counts what is below the source, and the directory itself, and nothing else', () => {
    const digest = shownDigest(whole, 'src');
    expect(shownDigest(tree(dir('src'), file('src/a'), dir('src/deep'), file('src/deep/b')), 'src')).toBe(digest);
    expect(shownDigest(whole, 'to')).toBe(digest);
    expect(shownDigest(whole, '')).not.toBe(digest);
    for (const changed of [
      file('src/a', 'new'),
      file('src/new'),
      dir('src', { mode: 0o700 }),
      dir('src', { uid: 5 }),
      dir('src/deep', { mode: 0o700 }),
    ]) {
      expect(shownDigest(tree(...whole.values(), changed), 'src')).not.toBe(digest);
    }
  });

  it('takes names as they are, whatever they look like', () => {
    const names = ['a*', 'a?', '[a]', 'a\\b', 'ab'];
    const odd = tree(...names.map((name) => file(name)));
    for (const name of names) expect(shown(odd, name).selection.resolved).toBe(name);
    expect(exactPattern('a*[b]')).toBe('a\\*\\[b\\]');
    expect(() => shown(odd, 'a')).toThrow('"/a": not found');
  });

  it('of links that lead out of it, what is inside', () => {
    const up = tree(link('up', '../../../src'), link('abs', '/src'), dir('src'), file('src/a'));
    expect(shown(up, 'up').selection.resolved).toBe('src');
    expect(shown(up, 'abs/a').selection.resolved).toBe('src/a');
  });
});
