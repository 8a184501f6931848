import { describe, expect, it } from 'vitest';
import { gitCheckout } from './git-checkout.ts';

const commit = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d';
const of = (files: Readonly<Record<string, string>>, directory = '/w/app/src') =>
  gitCheckout(directory, (path) => files[path]);

describe('the git checkout of a directory', () => {
  it('is found above it', () => {
    const files = { '/w/.git/HEAD': 'ref: refs/heads/feature/x\n', '/w/.git/refs/heads/feature/x': `${commit}\n` };
    expect(of(files)).toEqual({ branch: 'feature/x', commit });
    expect(of(files, '/elsewhere')).toEqual({});
  });

  it('has its commit among packed refs, or none yet', () => {
    const head = { '/w/.git/HEAD': 'ref: refs/heads/main\n' };
    const packed = `# pack-refs with: peeled\n${'0'.repeat(40)} refs/heads/old-refs/heads/main\n${commit} refs/heads/main\n`;
    expect(of({ ...head, '/w/.git/packed-refs': packed })).toEqual({ branch: 'main', commit });
    expect(of(head)).toEqual({ branch: 'main' });
  });

  it('may be of no branch', () => {
    expect(of({ '/w/.git/HEAD': `${commit}\n` })).toEqual({ commit });
    expect(of({ '/w/.git/HEAD': 'what?' })).toEqual({});
  });

  it('may be a worktree', () => {
    const files = {
      '/w/.git': 'gitdir: /main/.git/worktrees/w\n',
      '/main/.git/worktrees/w/HEAD': 'ref: refs/heads/side\n',
      '/main/.git/worktrees/w/commondir': '../..\n',
      '/main/.git/refs/heads/side': commit,
    };
    expect(of(files)).toEqual({ branch: 'side', commit });
  });
});
