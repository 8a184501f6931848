import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '#oci';
import { KilnError, silentLogger, systemClock, systemRandom } from '#std';
import { MemoryContentStore } from '#testing';
import {
  CacheMounts,
  type CacheMountRequest,
  type CacheMountUse,
  type MountVersion,
  type MountVersions,
  type NewMountVersion,
} from '#engine';

/** What the farm's database does, for the mounts of one scope and one that inherits it. */
class Farm {
  readonly rows: (MountVersion &
    NewMountVersion & { readonly mount: Digest; readonly replaced: number | undefined })[] = [];
  readonly locks = new Map<string, string>();
  readonly content = new MemoryContentStore();
  fenced = false;

  of(scopeId: string, ...inherited: readonly string[]): MountVersions {
    const newestFirst = (mount: Digest, scope: string) =>
      this.rows
        .filter((row) => row.mount === mount && row.scopeId === scope)
        .toReversed()
        .slice(0, 2);
    const key = (mount: Digest): string => `${scopeId} ${mount}`;
    return {
      scopeId,
      versions: async (mount) => [scopeId, ...inherited].flatMap((scope) => newestFirst(mount, scope)),
      used: async () => {},
      publish: async (mount, given) => {
        if (this.fenced) throw new KilnError('FENCED', 'gone');
        const newest = newestFirst(mount, scopeId)[0]?.version;
        if (given.merged !== undefined && given.merged.newest !== newest) throw new KilnError('CONFLICT', 'newer');
        const version = (newest ?? 0) + 1;
        const stands = given.base?.scopeId === scopeId ? given.base.version : undefined;
        const replaced = given.merged === undefined && newest !== stands ? newest : undefined;
        this.rows.push({ ...given, mount, scopeId, scope: scopeId, version, replaced });
        return { version, replaced };
      },
      forget: async (_mount, { version }) => {
        const at = this.rows.findIndex((row) => row.scopeId === scopeId && row.version === version);
        if (at !== -1) this.rows.splice(at, 1);
      },
      lock: async (mount, holder) => {
        if ((this.locks.get(key(mount)) ?? holder) !== holder) return false;
        this.locks.set(key(mount), holder);
        return true;
      },
      unlock: async (mount, holder) => {
        if (this.locks.get(key(mount)) === holder) this.locks.delete(key(mount));
      },
    };
  }
}

let dir: string;
let farm: Farm;
let opened: CacheMounts[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-mounts-'));
  farm = new Farm();
  opened = [];
});
afterEach(async () => {
  for (const node of opened) await node[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const npm: CacheMountRequest = {
  ...{ owner: 'project/main', id: '/root/.npm', target: '/root/.npm', sharing: 'shared' },
  ...{ seed: undefined, mode: undefined, uid: undefined, gid: undefined },
};
const plain: CacheMountRequest = { ...npm, id: '/app/target', target: '/app/target' };

class Node {
  caches: CacheMounts | undefined;
  readonly name: string;
  readonly notes: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  async open(more: { readonly publishMaxBytes?: number } = {}): Promise<this> {
    this.caches = await CacheMounts.open({
      ...{ dir: join(dir, this.name), maxBytes: 2 ** 30, publishMaxBytes: 2 ** 30, content: farm.content },
      ...{ shift: { uid: 0, gid: 0 }, clock: systemClock, random: systemRandom, logger: silentLogger, ...more },
    });
    opened.push(this.caches);
    return this;
  }

  async use(request: CacheMountRequest, versions = farm.of('main')) {
    const use: CacheMountUse = {
      ...{ versions, signal: new AbortController().signal },
      fill: async () => {},
      note: (text) => this.notes.push(text),
    };
    const hold = await this.caches?.acquire(request, use);
    if (hold === undefined) throw new Error('not open');
    return hold;
  }

  /** A step from its beginning to the end of what it leaves behind; what it found. */
  async step(
    request: CacheMountRequest,
    script: string,
    versions = farm.of('main'),
    fails = false,
  ): Promise<readonly string[]> {
    const hold = await this.use(request, versions);
    const found = execFileSync('/bin/sh', ['-ec', 'find . -type f | sort'], { cwd: hold.path, encoding: 'utf8' });
    execFileSync('/bin/sh', ['-ec', script], { cwd: hold.path });
    if (!fails) hold.succeeded();
    await hold[Symbol.asyncDispose]();
    await this.caches?.published();
    return found
      .split('\n')
      .filter(Boolean)
      .map((name) => name.slice(2));
  }
}

const node = (name: string): Promise<Node> => new Node(name).open();

describe('cache mounts of several nodes', () => {
  it('what a step leaves is there for a step elsewhere, and moves only where it changed', async () => {
    const [a, b] = [await node('a'), await node('b')];
    expect(await a.step(plain, 'echo 1 > one; head -c 200000 /dev/urandom > large')).toEqual([]);
    expect(farm.rows.map(({ version, entries }) => [version, entries])).toEqual([[1, 3]]);
    expect(await b.step(plain, 'echo 2 > two')).toEqual(['large', 'one']);
    expect(b.notes.at(-1)).toMatch(/^cache mount \/app\/target: 0\.2 MB fetched \(version 1, from branch main\)$/);
    expect(await a.step(plain, 'true')).toEqual(['large', 'one', 'two']);
    expect(a.notes.at(-1)).toMatch(/: 0\.0 MB fetched \(version 2, from branch main\)$/);
    // Nothing changed: no version.
    expect(farm.rows.map(({ base }) => base?.version)).toEqual([undefined, 1]);
    const said = a.notes.length;
    expect(await a.step(plain, 'true')).toEqual(['large', 'one', 'two']);
    expect(a.notes).toHaveLength(said);
  });

  it('a package cache is the union of what two leave at once; another is whose end was last, and says so', async () => {
    for (const request of [npm, plain]) {
      const [a, b] = [await node(`a${request.id.length}`), await node(`b${request.id.length}`)];
      await a.step(request, 'mkdir -p d; echo 0 > d/base; echo 0 > d/both');
      const holds = [await a.use(request), await b.use(request)];
      for (const [at, { path }] of holds.entries()) {
        await writeFile(join(path, `d/own${at}`), '');
        await writeFile(join(path, 'd/both'), `${at}`);
      }
      for (const [at, hold] of holds.entries()) {
        hold.succeeded();
        await hold[Symbol.asyncDispose]();
        await [a, b][at]?.caches?.published();
      }
      const union = ['d/base', 'd/both', 'd/own0', 'd/own1'];
      const last = request === npm ? union : ['d/base', 'd/both', 'd/own1'];
      for (const each of [a, b, await node(`c${request.id.length}`)]) {
        expect(await each.step(request, 'test "$(cat d/both)" = 1')).toEqual(last);
      }
      const rows = farm.rows.filter(({ id }) => id === request.id);
      expect(rows.at(-1)).toMatchObject({
        version: 3,
        base: { version: 1 },
        replaced: request === npm ? undefined : 2,
      });
      expect(rows).toHaveLength(3);
    }
  });

  it('a scope reads what it inherits and writes its own alone', async () => {
    const a = await node('a');
    const pull = { ...plain, owner: 'project/pr' };
    await a.step(plain, 'echo main > f');
    expect(await a.step(pull, 'echo poison > f', farm.of('pr', 'main'))).toEqual(['f']);
    expect(farm.rows.map(({ scopeId, base }) => [scopeId, base?.scopeId])).toEqual([
      ['main', undefined],
      ['pr', 'main'],
    ]);
    const b = await node('b');
    await b.step(plain, 'test "$(cat f)" = main');
    await b.step(pull, 'test "$(cat f)" = poison', farm.of('pr', 'main'));
  });

  it('a step that fails publishes nothing; nor does a build that was taken away', async () => {
    const a = await node('a');
    await a.step(plain, 'touch half', farm.of('main'), true);
    farm.fenced = true;
    await a.step(plain, 'touch more');
    expect(farm.rows).toEqual([]);
    farm.fenced = false;
    expect(await a.step(plain, 'touch last')).toEqual(['half', 'more']);
    expect(farm.rows).toHaveLength(1);
  });

  it('without a blob it begins with an older version, or anew, and says so; the next version is whole', async () => {
    const a = await node('a');
    await a.step(plain, 'echo 1 > one');
    await a.step(plain, 'echo 2 > two');
    const [first, second] = farm.rows;
    const only = second?.blobs.filter(({ digest }) => !first?.blobs.some((blob) => blob.digest === digest)) ?? [];
    await farm.content.remove(new Set(only.map(({ digest }) => digest)));
    const b = await node('b');
    expect(await b.step(plain, 'true')).toEqual(['one']);
    expect(b.notes.join()).toMatch(/cannot be read \(version 2, from branch main\).*version 1, from branch main/);
    expect(farm.rows).toEqual([first]);
    expect(await a.step(plain, 'echo 3 > three')).toEqual(['one']);
    await farm.content.remove(new Set(farm.rows.flatMap(({ blobs }) => blobs.map(({ digest }) => digest))));
    const c = await node('c');
    expect(await c.step(npm, 'touch x')).toEqual([]);
    expect(await c.step(plain, 'true')).toEqual([]);
    expect(c.notes.at(-1)).toBe('cache mount /app/target: begins anew');
    // What is here is stored again, packs included that it thought were there.
    expect(await a.step(plain, 'echo 4 > four')).toEqual(['one', 'three']);
    expect(await (await node('d')).step(plain, 'true')).toEqual(['four', 'one', 'three']);
  });

  it('one that is too large stays, and says so once', async () => {
    const a = await new Node('a').open({ publishMaxBytes: 1000 });
    for (let n = 0; n < 3; n++) {
      const hold = await a.use(plain);
      await writeFile(join(hold.path, 'large'), Buffer.alloc(2000));
      hold.succeeded();
      await hold[Symbol.asyncDispose]();
      await a.caches?.published();
    }
    expect(a.notes).toEqual(['cache mount /app/target: stays on this builder, it holds more than 0 MiB']);
    expect(farm.rows).toEqual([]);
  });

  it('a step does not wait for what the one before is about to publish', async () => {
    const a = await node('a');
    for (let n = 0; n < 2; n++) {
      const hold = await a.use(plain);
      await writeFile(join(hold.path, `f${n}`), '');
      hold.succeeded();
      await hold[Symbol.asyncDispose]();
    }
    await a.caches?.published();
    expect(await (await node('b')).step(plain, 'true')).toEqual(['f0', 'f1']);
  });

  it('a locked one is one step’s on all nodes, and goes from hand to hand on one', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const locked = { ...plain, sharing: 'locked' as const };
    const first = await a.use(locked);
    const second = b.use(locked);
    await writeFile(join(first.path, 'by-a'), '');
    first.succeeded();
    await first[Symbol.asyncDispose]();
    const found = await second;
    // It had to wait until the other's was published.
    expect(await readdir(found.path)).toEqual(['by-a']);
    expect(b.notes[0]).toBe('waiting for the cache mount "/app/target", which a step on another builder has locked');
    await found[Symbol.asyncDispose]();
    for (let n = 0; n < 2; n++) await (await a.use(locked))[Symbol.asyncDispose]();
    expect(farm.locks.size).toBe(0);
    expect(a.notes).toEqual([]);
  });

  it('what was being made another when its node died is thrown away', async () => {
    const [a, b] = [await node('a'), await node('b')];
    await a.step(plain, 'echo 1 > one');
    await b.step(plain, 'echo 2 > two');
    const [key = ''] = await readdir(join(dir, 'a/c'));
    const about = join(dir, 'a/c', key, '1/about.json');
    await a.caches?.[Symbol.asyncDispose]();
    await writeFile(about, (await readFile(about, 'utf8')).replace('"torn":false', '"torn":true'));
    await a.open();
    expect(await readdir(join(dir, 'a/c', key))).toEqual([]);
    expect(await a.step(plain, 'true')).toEqual(['one', 'two']);
  });
});
