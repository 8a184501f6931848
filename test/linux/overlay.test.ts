import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DeltaEntry } from '#content';
import { diffUpper, OverlaySnapshotter } from '#snapshot';
import { Scratch, shift, summary } from './scratch.ts';

/** What `change` on top of `base` comes to. */
async function delta(base: (root: string) => void, change: (root: string) => void): Promise<readonly DeltaEntry[]> {
  await using scratch = await Scratch.open();
  const lower = await scratch.layer(null, (root) => {
    base(root);
    sh(root, 'chown -hR 100000:100000 .');
  });
  const upper = await scratch.layer(lower, change);
  return diffUpper({ upper: scratch.snapshots.upperOf(upper), lower: await scratch.view(lower), shift });
}

/** What is made in a sandbox belongs to its users; these scripts run as the node's root. */
const own = 'chown -R 100000:100000';
const sh = (cwd: string, script: string): void => void execFileSync('/bin/sh', ['-ec', script], { cwd });
const run = (script: string) => (root: string) => sh(root, script);

describe('an upper directory as a delta', () => {
  const base = run('mkdir -p d/sub; echo one > d/a; echo two > d/b; echo x > d/sub/x; ln -s a d/link; echo top > top');

  test('nothing changed, nothing told: a touched parent, a copy-up without a change', async () => {
    expect(
      summary(await delta(base, run('touch -r d/a stamp; chown 100000 d/a; touch -r stamp d/a; rm stamp'))),
    ).toEqual([]);
  });

  test('a new file brings its parents, with their metadata', async () => {
    const entries = await delta(
      base,
      run('mkdir -m 1777 d/sub/new; echo hi > d/sub/new/f; chown -R 101000:102000 d/sub/new'),
    );
    expect(summary(entries)).toEqual(['dir d', 'dir d/sub', 'dir d/sub/new', 'file d/sub/new/f']);
    expect(entries[2]).toMatchObject({ mode: 0o1777, uid: 1000, gid: 2000 });
    expect(entries[3]).toMatchObject({
      size: 3,
      digest: 'sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4',
    });
  });

  test('a deleted file and a deleted directory', async () => {
    expect(summary(await delta(base, run('rm d/a; rm -r d/sub')))).toEqual(['dir d', 'whiteout d/a', 'whiteout d/sub']);
  });

  test('what came and went leaves nothing', async () => {
    expect(summary(await delta(base, run('echo > d/new; rm d/new; mkdir e; rmdir e')))).toEqual([]);
  });

  test('a directory made anew is opaque', async () => {
    expect(summary(await delta(base, run(`rm -r d; mkdir d; echo > d/only; ${own} d`)))).toEqual([
      'opaque dir d',
      'file d/only',
    ]);
  });

  test('a renamed directory is there as a whole', async () => {
    // Without redirect_dir the kernel refuses the rename, and mv copies.
    expect(summary(await delta(base, run('mv d e')))).toEqual([
      'whiteout d',
      'dir e',
      'file e/a',
      'file e/b',
      'symlink e/link',
      'dir e/sub',
      'file e/sub/x',
    ]);
  });

  test('a renamed file', async () => {
    expect(summary(await delta(base, run('mv top d/moved')))).toEqual(['dir d', 'file d/moved', 'whiteout top']);
  });

  test('only the mode, the owner or the mtime', async () => {
    expect(summary(await delta(base, run('chmod 600 d/a')))).toEqual(['dir d', 'file d/a']);
    expect(summary(await delta(base, run('chown 100007 d/a')))).toEqual(['dir d', 'file d/a']);
    expect(summary(await delta(base, run('touch -d @12345 d/a')))).toEqual(['dir d', 'file d/a']);
    expect(summary(await delta(base, run('chmod 700 d')))).toEqual(['dir d']);
    expect(summary(await delta(base, run('chmod 700 .')))).toEqual(['dir ']);
  });

  test('other bytes of the same size under the old mtime are a change', async () => {
    const entries = await delta(base, run('touch -r d/a stamp; echo ONE > d/a; touch -r stamp d/a; rm stamp'));
    expect(summary(entries)).toEqual(['dir d', 'file d/a']);
  });

  test('set-id bits, extended attributes and capabilities', async () => {
    const entries = await delta(
      base,
      run(
        `cp /bin/true t; cp t c; ${own} t c; chmod 6755 t; setfattr -n user.note -v 0xff00fe c; setcap cap_setuid+ep c`,
      ),
    );
    expect(summary(entries)).toEqual(['file c', 'file t']);
    expect(entries[0]).toMatchObject({
      xattrs: { 'user.note': '/wD+', 'security.capability': expect.stringMatching(/^AQAAAo/) as string },
    });
    expect(entries[1]).toMatchObject({ mode: 0o6755 });
  });

  test('hard links: among new files, and to a file from below', async () => {
    expect(summary(await delta(base, run(`echo > z; ln z y; ln z d/zz; ${own} z`)))).toEqual([
      'dir d',
      'file d/zz',
      'hardlink y d/zz',
      'hardlink z d/zz',
    ]);
    expect(summary(await delta(base, run('ln top d/second')))).toEqual([
      'dir d',
      'file d/second',
      'hardlink top d/second',
    ]);
  });

  test('a file becomes a directory and the other way round', async () => {
    expect(summary(await delta(base, run(`rm top; mkdir top; echo > top/f; rm -r d; echo > d; ${own} top d`)))).toEqual(
      ['file d', 'dir top', 'file top/f'],
    );
  });

  test('a link that became a directory does not lead the comparison out of the root', async () => {
    const entries = await delta(
      run('ln -s /etc out'),
      run('rm out; mkdir out; echo > out/passwd; chown -R 100000:100000 out'),
    );
    expect(summary(entries)).toEqual(['dir out', 'file out/passwd']);
  });

  test('fifos are kept, sockets are not, and names need not be UTF-8', async () => {
    const entries = await delta(base, (root) => {
      sh(root, `mkfifo pipe; printf x > "$(printf 'b\\377d')"; chown 100000:100000 *`);
      sh(root, `node -e "require('net').createServer().listen('sock',()=>process.kill(process.pid,9))" || true`);
      expect(fs.statSync(join(root, 'sock')).isSocket()).toBe(true);
    });
    expect(summary(entries)).toEqual(['file b\udcffd', 'fifo pipe']);
  });
});

test('120 layers on top of each other', async () => {
  await using scratch = await Scratch.open();
  let parent: string | null = null;
  for (let at = 0; at < 120; at++)
    parent = await scratch.layer(parent, (root) => fs.writeFileSync(join(root, `f${at}`), `${at}`));
  const root = await scratch.view(parent ?? '');
  expect(fs.readdirSync(root)).toHaveLength(120);
  expect(fs.readFileSync(join(root, 'f0'), 'utf8')).toBe('0');
});

test('device nodes of an image cannot be opened', async () => {
  await using scratch = await Scratch.open();
  const name = await scratch.layer(null, run('mknod null c 1 3'));
  const root = await scratch.view(name);
  expect(() => fs.openSync(join(root, 'null'), 'r')).toThrow('EACCES');
});

describe('the snapshotter', () => {
  test('a restart keeps what was committed and removes what was not', async () => {
    await using scratch = await Scratch.open();
    const base = await scratch.layer(null, run('echo base > f'));
    const child = await scratch.layer(base, run('echo child > g'));
    await scratch.snapshots.prepare('unfinished', child);
    const root = join(scratch.dir, 'snapshots');
    const again = await OverlaySnapshotter.open({ root, shift });
    expect(again.has(child)).toBe(true);
    expect(fs.readdirSync(join(root, 'l'))).toHaveLength(2);
    const mounted = await scratch.mount(await again.view(child));
    expect(fs.readFileSync(join(mounted, 'f'), 'utf8')).toBe('base\n');
    await scratch.unmount(mounted);
    // Another shift makes every owner wrong.
    const shifted = await OverlaySnapshotter.open({ root, shift: { uid: 200_000, gid: 200_000 } });
    expect(shifted.has(child)).toBe(false);
    expect(fs.readdirSync(join(root, 'l'))).toEqual([]);
  });

  test('nothing is seen under a name before the commit; the first commit stays', async () => {
    await using scratch = await Scratch.open();
    const { snapshots } = scratch;
    await snapshots.prepare('one', null);
    await snapshots.prepare('two', null);
    expect(snapshots.has('name')).toBe(false);
    await expect(snapshots.view('name')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    fs.writeFileSync(join(snapshots.upperOf('one'), 'who'), 'one');
    await snapshots.commit('name', 'one');
    await snapshots.commit('name', 'two');
    expect(fs.readFileSync(join(snapshots.upperOf('name'), 'who'), 'utf8')).toBe('one');
    expect(() => snapshots.upperOf('two')).toThrow('no snapshot');
  });

  test('a parent stays while others need it', async () => {
    await using scratch = await Scratch.open();
    const { snapshots } = scratch;
    const base = await scratch.layer(null, () => {});
    await snapshots.prepare('active', base);
    await expect(snapshots.remove(base)).rejects.toMatchObject({ code: 'CONFLICT' });
    await snapshots.remove('active');
    await snapshots.remove(base);
    expect(fs.readdirSync(join(scratch.dir, 'snapshots', 'l'))).toEqual([]);
  });

  test('the root’s owner and mode pass on to what lies on top', async () => {
    await using scratch = await Scratch.open();
    const base = await scratch.layer(null, run('chmod 1750 .; chown 100005:100006 .'));
    await scratch.layer(base, (root) =>
      expect(fs.statSync(root)).toMatchObject({ mode: 0o041750, uid: 100_005, gid: 100_006 }),
    );
  });
});
