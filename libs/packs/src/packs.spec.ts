import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '#oci';
import { applyTree, neededPacks } from './apply-tree.ts';
import { emptyTree, type PackedTree } from './packed-tree.ts';
import { scanDirectory, type Scanned } from './scan-directory.ts';
import { readTree, writeTree } from './tree-file.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kiln-packs-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Owners stay as they are: unit tests have no root. */
const shift = { uid: 0, gid: 0 };
const limits = { maxBytes: 2 ** 30 };
const sh = (script: string, cwd = dir): string => execFileSync('/bin/sh', ['-ec', script], { cwd, encoding: 'utf8' });
let made = 0;
/** Packs by digest, as a content store has them. */
const stored = new Map<Digest, string>();

async function scan(
  name: string,
  known: PackedTree = emptyTree,
  more: { skip?: RegExp; lost?: Digest[] } = {},
): Promise<Scanned> {
  const packsDir = join(dir, `packs-${++made}`);
  mkdirSync(packsDir);
  const scanned = await scanDirectory({
    ...{ dir: join(dir, name), shift, limits, known, packsDir, skip: more.skip },
    lost: new Set(more.lost ?? []),
  });
  if ('tooLarge' in scanned) throw new Error(scanned.tooLarge);
  for (const { digest, file } of scanned.newPacks) stored.set(digest, file);
  return scanned;
}

async function apply(name: string, to: PackedTree, from: PackedTree = emptyTree): Promise<PackedTree> {
  mkdirSync(join(dir, name), { recursive: true });
  const needed = neededPacks(from, to);
  const packs = new Map([...stored].filter(([digest]) => needed.has(digest)));
  return await applyTree({ dir: join(dir, name), shift, from, to, packs });
}

/** Everything that is kept of a directory, in text. */
const listing = (name: string): string =>
  sh(
    `find . -printf '%P %y %m %U:%G %n %T@ %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 -r sha256sum`,
    join(dir, name),
  );

describe('a directory and its packs', () => {
  it('comes back as it was: modes, times to the nanosecond, links, holes, names that are no text', async () => {
    sh(`mkdir a; cd a; mkdir -m 1777 tmp; mkdir -m 555 ro; echo x > f; chmod 4751 f; ln f tmp/g; ln -s ../../etc/passwd l
        : > empty; truncate -s 20M sparse; echo end >> sparse; cp f copy; head -c 9000000 /dev/urandom > large
        printf x > "$(printf 'n\\377')"; mkdir deep; echo y > 'deep/new
line'; touch -hd '2001-02-03 04:05:06.789012345' f ro l; touch -d 1969-01-01 empty; chmod 700 .`);
    const { tree, changed } = await scan('a');
    expect(changed).toBe(true);
    const file = join(dir, 'manifest');
    const written = await writeTree(tree, file);
    expect(written.digest).toBe(digestOf(readFileSync(file)));
    expect(await readTree(file)).toEqual(tree);
    await apply('b', await readTree(file));
    expect(listing('b')).toBe(listing('a'));
    expect(Number(sh('du -k b/sparse | cut -f1'))).toBeLessThan(1024);
    expect(tree.packs.size).toBe(3);
  });

  it('costs what changed: neither read nor packed again is what is known', async () => {
    sh('mkdir a; for i in $(seq 100); do echo $i > a/$i; done; sleep 0.1');
    const first = await scan('a');
    expect(first.newPacks).toHaveLength(1);
    const same = await scan('a', first.tree);
    expect([same.changed, same.newPacks.length]).toEqual([false, 0]);
    sh('echo new > a/new; rm a/7; echo other > a/8');
    const second = await scan('a', first.tree);
    expect(second.newPacks.map(({ rawBytes }) => rawBytes)).toEqual([10]);
    expect([...second.tree.packs.keys()]).toEqual(expect.arrayContaining([...first.tree.packs.keys()]));
    const here = await apply('b', first.tree);
    expect(neededPacks(here, second.tree)).toEqual(new Set(second.newPacks.map(({ digest }) => digest)));
    await apply('b', second.tree, here);
    expect(listing('b')).toBe(listing('a'));
  });

  it('sees a change of the same size and time', async () => {
    sh('mkdir a; echo one > a/f; touch -d 2001-01-01 a/f; sleep 0.1');
    const { tree } = await scan('a');
    sh('echo two > a/f; touch -d 2001-01-01 a/f');
    expect((await scan('a', tree)).tree.entries.get('f')?.digest).toBe(digestOf('two\n'));
  });

  it('packs again what is in packs that are lost, little used, or many and small', async () => {
    sh('mkdir a; head -c 3000 /dev/urandom > a/1; head -c 1000 /dev/urandom > a/2');
    const first = await scan('a');
    const lost = await scan('a', first.tree, { lost: [...first.tree.packs.keys()] });
    expect(lost.newPacks.map(({ digest }) => digest)).toEqual([...first.tree.packs.keys()]);
    sh('rm a/1');
    expect((await scan('a', first.tree)).newPacks.map(({ rawBytes }) => rawBytes)).toEqual([1000]);
    let { tree } = first;
    for (let n = 0; n < 40; n++) {
      writeFileSync(join(dir, 'a', `n${n}`), `${n}`);
      ({ tree } = await scan('a', tree));
    }
    expect(tree.packs.size).toBeLessThan(34);
    await apply('b', tree);
    expect(listing('b')).toBe(listing('a'));
  });

  it('is made of another, whatever stands in the way, and follows no link', async () => {
    sh(
      'mkdir -p a/d/x b/l out; echo 1 > a/d/x/f; echo 1 > a/k; ln a/k a/k2; echo 2 > b/d; echo 2 > b/l/f; echo 1 > b/k; echo keep > out/f; ln -s ../out a/l',
    );
    const [from, to] = [(await scan('a')).tree, (await scan('b')).tree];
    sh('mkfifo a/p; rm -r b/l; mkfifo a/l2');
    await apply('a', to, from);
    expect(sh('cat a/d a/l/f a/k out/f; ls -A a out')).toBe('2\n2\n1\nkeep\na:\nd\nk\nl\nl2\np\n\nout:\nf\n');
    expect(sh('stat -c %h a/k')).toBe('1\n');
  });

  it('stays where it is when it is too large: bytes as files say they are, names, depth', async () => {
    sh('mkdir a; truncate -s 1T a/huge');
    const of = (more: object) =>
      scanDirectory({ dir: join(dir, 'a'), shift, known: emptyTree, limits: { ...limits, ...more } });
    expect(await of({})).toEqual({ tooLarge: 'it holds more than 1024 MiB' });
    sh('rm a/huge; seq 100 | sed s,^,a/, | xargs touch');
    expect(await of({ maxEntries: 50 })).toEqual({ tooLarge: 'it holds more than 50 files' });
    expect(await of({ maxNameBytes: 100 })).toMatchObject({
      tooLarge: expect.stringContaining('names alone') as unknown,
    });
    sh(`cd a; mkdir -p ${`${'n'.repeat(200)}/`.repeat(25)}`);
    expect(await of({})).toEqual({ tooLarge: 'a path in it is longer than 4095 bytes' });
    sh('rm -rf a');
  });

  it('has no pipes, and nothing that is to stay on the node', async () => {
    sh('mkdir -p a/partial; mkfifo a/p; echo x > a/partial/x; echo x > a/lock; echo x > a/x.deb');
    const { tree } = await scan('a', emptyTree, { skip: /^lock$|^partial\// });
    expect([...tree.entries.keys()]).toEqual(['', 'partial', 'x.deb']);
  });
});

describe('a manifest', () => {
  const read = async (change: (lines: string[]) => void): Promise<unknown> => {
    sh('mkdir a; mkdir a/d; echo x > a/d/f; ln -s d a/l');
    const file = join(dir, 'manifest');
    await writeTree((await scan('a')).tree, file);
    const lines = zstdDecompressSync(readFileSync(file)).toString().split('\n');
    change(lines);
    writeFileSync(file, zstdCompressSync(lines.join('\n')));
    return await readTree(file).catch((thrown: unknown) => thrown);
  };

  it.each<[string, (lines: string[]) => void]>([
    ['leads out', (lines) => (lines[3] = lines[3]?.replace('d/f', 'd/../../f') ?? '')],
    ['goes through a link', (lines) => lines.splice(5, 0, lines[3]?.replace('d/f', 'l/f') ?? '')],
    ['has no parent', (lines) => lines.splice(2, 1)],
    ['is out of order', (lines) => lines.splice(2, 2, lines[4] ?? '', lines[2] ?? '')],
    ['lies beyond its pack', (lines) => (lines[3] = lines[3]?.replace('"at":0', '"at":7') ?? '')],
    ['is cut off', (lines) => lines.splice(-2, 2, lines.at(-2)?.slice(0, -2) ?? '')],
  ])('that %s is refused', async (_, change) => {
    expect(await read(change)).toMatchObject({ code: 'BLOB_CORRUPT' });
  });
});
