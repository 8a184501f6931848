import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#oci';
import { systemClock, systemRandom } from '#std';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileStamp } from './file-stamp.ts';
import { hashContext } from './hash-context.ts';
import { StatCache, type StatCacheOptions } from './stat-cache.ts';

let directory: string;
beforeEach(() => (directory = join(mkdtempSync(join(tmpdir(), 'kiln-stat-')), 'made/when/needed')));
afterEach(() => rmSync(join(directory, '../../..'), { recursive: true, force: true }));

const cacheOf = (more: Partial<StatCacheOptions> = {}): StatCache =>
  new StatCache({ directory, random: systemRandom, ...more });
const nowMs = 1_700_000_000_000;
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;
const stamp = ({ mtimeMs = 0, ctimeMs = 0, rest = '1 2 3' } = {}): FileStamp => {
  return { version: `${rest} ${ns(mtimeMs)}`, mtimeNs: ns(mtimeMs), ctimeNs: ns(ctimeMs) };
};
const digest = digestOf('content');
const [root, other] = ['/some/root', '/some/other'];

async function keep(cache: StatCache, files: Readonly<Record<string, FileStamp>>, readAtMs = nowMs): Promise<void> {
  const known = await cache.open(root);
  for (const [path, each] of Object.entries(files)) known.add(path, { stamp: each, digest, readAtMs });
  await known.save();
}
const file = (): string => join(directory, readdirSync(directory)[0] ?? '');

describe('a stat cache', () => {
  it('knows a file as long as all that can be seen of it is the same', async () => {
    await keep(cacheOf(), { a: stamp() });
    const known = await cacheOf().open(root);
    expect(known.find('a', stamp())).toBe(digest);
    expect(known.find('b', stamp())).toBeUndefined();
    for (const changed of [{ mtimeMs: 1 }, { ctimeMs: 1 }, { rest: '2 2 3' }, { rest: '1 3 3' }, { rest: '1 2 4' }])
      expect(known.find('a', stamp(changed))).toBeUndefined();
    expect((await cacheOf().open(other)).find('a', stamp())).toBeUndefined();
  });

  it('does not trust what had just changed when it was read', async () => {
    const racy = (agoMs: number): readonly FileStamp[] =>
      [{ mtimeMs: nowMs - agoMs }, { ctimeMs: nowMs - agoMs }].map((times) => stamp(times));
    for (const [agoMs, known] of [
      [2_001, true],
      [2_000, false],
      [0, false],
      [-60_000, false],
    ] as const) {
      for (const each of racy(agoMs)) {
        rmSync(directory, { recursive: true, force: true });
        await keep(cacheOf(), { a: each });
        expect((await cacheOf().open(root)).find('a', each) !== undefined, String(agoMs)).toBe(known);
      }
    }
  });

  it('is one user’s, and made when there is something to keep', async () => {
    const known = await cacheOf().open(root);
    await known.save();
    expect(() => readdirSync(directory)).toThrow('ENOENT');
    await keep(cacheOf(), { a: stamp() });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).length).toBe(1);
    chmodSync(file(), 0o666);
    expect((await cacheOf().open(root)).find('a', stamp())).toBeUndefined();
  });

  it('is empty where it is damaged, and whole again after that', async () => {
    await keep(cacheOf(), { a: stamp(), b: stamp() });
    const whole = readFileSync(file());
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        for (const damaged of [
          whole.subarray(0, at),
          whole.map((byte, index) => (index === at ? byte ^ flip : byte)),
        ]) {
          writeFileSync(file(), damaged);
          expect((await cacheOf().open(root)).find('a', stamp())).toBeUndefined();
        }
      }),
      { numRuns: 40 },
    );
    await keep(cacheOf(), { a: stamp() });
    expect((await cacheOf().open(root)).find('a', stamp())).toBe(digest);
  });

  it('keeps every name', async () => {
    const names = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(names, async (paths) => {
        rmSync(directory, { recursive: true, force: true });
        const files = [...paths, 'caf\udce9', 'line\nbreak', 'sep\u2028arator'];
        const known = await cacheOf().open(root);
        for (const path of files) known.add(path, { stamp: stamp(), digest: digestOf(path), readAtMs: nowMs });
        await known.save();
        const again = await cacheOf().open(root);
        for (const path of files) expect(again.find(path, stamp())).toBe(digestOf(path));
      }),
      { numRuns: 15 },
    );
  });

  it('has a bound, and gives up what was not in use', async () => {
    const some = (name: string): Record<string, FileStamp> =>
      Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`${name}${index}`, stamp()]));
    await keep(cacheOf({ maxEntries: 15 }), some('old'));
    await keep(cacheOf({ maxEntries: 15 }), some('new'));
    const known = await cacheOf().open(root);
    const count = (name: string): number =>
      Object.keys(some(name)).filter((path) => known.find(path, stamp()) !== undefined).length;
    expect([count('new'), count('old')]).toEqual([10, 5]);

    // Of several directories, the one that was written last stays.
    const maxBytes = statSync(file()).size + 10;
    utimesSync(file(), 1, 1);
    const elsewhere = await cacheOf({ maxBytes }).open(other);
    for (const path of Object.keys(some('else'))) elsewhere.add(path, { stamp: stamp(), digest, readAtMs: nowMs });
    await elsewhere.save();
    expect((await cacheOf().open(root)).find('new0', stamp())).toBeUndefined();
    expect((await cacheOf().open(other)).find('else0', stamp())).toBe(digest);
  });

  it('stays whole when several write it at a time', async () => {
    await Promise.all(Array.from({ length: 8 }, (_, index) => keep(cacheOf(), { a: stamp(), [`b${index}`]: stamp() })));
    expect((await cacheOf().open(root)).find('a', stamp())).toBe(digest);
    expect(readdirSync(directory).length).toBe(1);
  });

  it('costs nothing but time where it cannot be written', async () => {
    writeFileSync(join(directory, '../../..', 'file'), '');
    const nowhere = new StatCache({ directory: join(directory, '../../../file/x'), random: systemRandom });
    await keep(nowhere, { a: stamp() });
    expect((await nowhere.open(root)).find('a', stamp())).toBeUndefined();
  });
});

describe('hashContext with a cache', () => {
  it('reads what has changed, and what had just changed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kiln-hashed-'));
    try {
      const cache = cacheOf();
      for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), name);
      // Nothing sets a time of change: the clock goes on instead.
      const later = { cache, clock: { ...systemClock, nowMs: () => Date.now() + 10_000 } };
      expect((await hashContext(folder, later)).hashedBytes).toBe(3);
      const again = await hashContext(folder, later);
      expect(again.hashedBytes).toBe(0);
      expect([...again.files.keys()]).toEqual(['a', 'b', 'c'].map((text) => digestOf(text)));
      writeFileSync(join(folder, 'b'), 'longer');
      const changed = await hashContext(folder, later);
      expect([changed.hashedBytes, changed.files.has(digestOf('longer'))]).toEqual([6, true]);
      await changed.forget();
      expect((await hashContext(folder, later)).hashedBytes).toBe(8);
      writeFileSync(join(folder, 'c'), 'C');
      expect((await hashContext(folder, { cache })).hashedBytes).toBe(1);
      expect((await hashContext(folder, { cache })).hashedBytes).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
