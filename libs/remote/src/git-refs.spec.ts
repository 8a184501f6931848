import { describe, expect, it } from 'vitest';
import { chooseRef } from './git-refs.ts';

const id = (digit: string): string => digit.repeat(40);
const listing = (...lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
const shown = 'https://host/x.git';

describe('chooseRef', () => {
  it('takes a branch before a tag, and what a tag points to', () => {
    const both = listing(`${id('1')}\trefs/heads/v`, `${id('2')}\trefs/tags/v`, `${id('3')}\trefs/tags/v^{}`);
    expect(chooseRef({ shown, ref: 'v', checksum: '', listing: both })).toEqual({
      commit: id('1'),
      ref: 'refs/heads/v',
    });
    expect(chooseRef({ shown, ref: 'refs/tags/v', checksum: '', listing: both })).toEqual({
      commit: id('3'),
      ref: 'refs/tags/v',
    });
  });

  it('takes full names of refs, and the default branch', () => {
    const pull = listing(`${id('4')}\trefs/pull/1/head`);
    expect(chooseRef({ shown, ref: 'pull/1/head', checksum: '', listing: pull }).commit).toBe(id('4'));
    const head = listing('ref: refs/heads/trunk\tHEAD', `${id('5')}\tHEAD`);
    expect(chooseRef({ shown, ref: '', checksum: '', listing: head })).toEqual({
      commit: id('5'),
      ref: 'refs/heads/trunk',
    });
  });

  it('takes no option for a branch, whatever a server calls its default one', () => {
    const head = listing('ref: --upload-pack=touch\tHEAD', `${id('5')}\tHEAD`);
    expect(chooseRef({ shown, ref: '', checksum: '', listing: head })).toEqual({ commit: id('5'), ref: id('5') });
  });

  it('does not take names that end alike', () => {
    const other = listing(`${id('1')}\trefs/heads/feature/main`);
    expect(() => chooseRef({ shown, ref: 'main', checksum: '', listing: other })).toThrow(/no branch or tag "main"/);
    expect(() => chooseRef({ shown, ref: '', checksum: '', listing: '' })).toThrow(/no default branch/);
  });

  it('compares the checksum with the commit, or with the tag’s own object', () => {
    const tag = listing(`${id('a')}\trefs/tags/v`, `${id('b')}\trefs/tags/v^{}`);
    for (const checksum of ['aa', 'BBBB', id('b')]) {
      expect(chooseRef({ shown, ref: 'v', checksum, listing: tag }).commit).toBe(id('b'));
    }
    expect(() => chooseRef({ shown, ref: 'v', checksum: 'cc', listing: tag })).toThrow(
      `checksum mismatch for ${shown}: expected the commit cc, got ${id('b')}`,
    );
    expect(() => chooseRef({ shown, ref: id('b'), checksum: 'a', listing: '' })).toThrow(/mismatch/);
    expect(() => chooseRef({ shown, ref: 'v', checksum: 'xyz', listing: tag })).toThrow(/has to be a commit/);
  });
});
