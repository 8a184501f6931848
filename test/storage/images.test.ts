import { type Digest, digestOf } from '#oci';
import { single } from '#std';
import { BuildImages, type Claim, Collector, type CollectorLimits, ImageStore } from '#storage';
import { MemoryContentStore } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { blobsOf, keptImage } from '../api/kept-image.ts';
import { claimBuild, startStorage, type Storage } from './farm.ts';

const limits: CollectorLimits = {
  graceMs: 0,
  retentionMs: 0,
  imageRetentionMs: 3_600_000,
  projectBytes: 0,
  totalBytes: 0,
};

let storage: Storage;
let content: MemoryContentStore;
let images: ImageStore;
beforeAll(async () => {
  storage = await startStorage();
  images = new ImageStore(storage.db);
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  await storage.db.execute('TRUNCATE projects, blobs CASCADE');
  content = new MemoryContentStore();
});

const of = (claim: Claim) => ({ projectId: claim.projectId, scopeId: claim.scopes[0].id });

/** As a build does it: blobs put and granted, then the image told. */
async function keep(claim: Claim, name: string, names: readonly string[], kept = true): Promise<Digest> {
  for (const text of blobsOf(name)) await content.put(single(Buffer.from(text)), digestOf(text));
  return (await keptImage(storage, claim, name, { names, kept })).descriptor.digest;
}

async function collect(more: Partial<CollectorLimits> = {}): Promise<void> {
  const collector = new Collector({ db: storage.db, content, limits: { ...limits, ...more } });
  for (let pass = 0; pass < 3; pass++) {
    await storage.db.execute('UPDATE blobs SET check_at = now() WHERE check_at > now()');
    await collector.collect();
  }
}

const has = async (text: string): Promise<boolean> => (await content.findMissing(new Set([digestOf(text)]))).size === 0;
const age = (digest: Digest): Promise<unknown> =>
  storage.db.execute("UPDATE images SET used_at = now() - interval '30 minutes' WHERE digest = $1", [digest]);

describe('an image', () => {
  it('keeps its blobs from the collector for as long as it is there; of one that is not kept, only what tells of it', async () => {
    const claim = await claimBuild(storage);
    await keep(claim, 'whole', ['docker.io/acme/whole:1']);
    await keep(claim, 'light', ['docker.io/acme/light:1'], false);
    await collect();
    expect([await has('layer whole'), await has('config whole')]).toEqual([true, true]);
    for (const told of ['config light', 'statement light']) expect([told, await has(told)]).toEqual([told, true]);
    expect(await has('layer light')).toBe(false);
    await images.remove(of(claim), 'acme/whole:1', { force: false });
    await collect();
    expect([await has('layer whole'), await has('manifest whole')]).toEqual([false, false]);
  });

  it('ends some time after its last use: soon without a name, later with one', async () => {
    const claim = await claimBuild(storage);
    const old = await keep(claim, 'old', ['docker.io/acme/app:1']);
    const next = await keep(claim, 'new', ['docker.io/acme/app:1']);
    for (const digest of [old, next]) await age(digest);
    await collect({ retentionMs: 60_000 });
    expect((await images.list(of(claim), { limit: 9, all: true })).images.map(({ digest }) => digest)).toEqual([next]);
    expect([await has('layer old'), await has('layer new')]).toEqual([false, true]);
    await collect({ retentionMs: 60_000, imageRetentionMs: 60_000 });
    expect((await images.list(of(claim), { limit: 9, all: true })).images).toEqual([]);
  });

  it('is what a name stands for in the own scope: a pull request changes nobody else’s, and sees what it inherits', async () => {
    const main = await claimBuild(storage);
    const request = await claimBuild(storage, 'one', 'default', 'pr-7');
    const trusted = await keep(main, 'trusted', ['docker.io/acme/app:1']);
    expect((await images.get(of(request), 'acme/app:1')).digest).toBe(trusted);
    const hostile = await keep(request, 'hostile', ['docker.io/acme/app:1']);
    expect((await images.get(of(main), 'acme/app:1')).digest).toBe(trusted);
    expect((await images.get(of(request), 'acme/app:1')).digest).toBe(hostile);
    await expect(images.get(of(main), hostile)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(new BuildImages(storage.db, main).read(hostile)).rejects.toMatchObject({ code: 'NOT_FOUND' });

    await expect(images.remove(of(request), trusted, { force: true })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    const tagged = await images.tag(of(request), trusted, 'acme/app:mine');
    expect(tagged).toMatchObject({ digest: trusted, names: ['docker.io/acme/app:mine'], scope: 'pr-7' });
    expect((await images.get(of(main), trusted)).names).toEqual(['docker.io/acme/app:1']);
    await images.remove(of(main), trusted, { force: true });
    await collect();
    // The copy in the other scope needs its blobs all the same.
    expect(await has('layer trusted')).toBe(true);
  });

  it('of an instruction is known to all who see the scope of the build that gave it first, until nobody gave it for long', async () => {
    const [main, again] = [await claimBuild(storage), await claimBuild(storage)];
    const request = await claimBuild(storage, 'one', 'default', 'pr-7');
    const [ours, theirs] = [digestOf('config ours'), digestOf('config theirs')];
    const give = (claim: Claim, ...ids: readonly Digest[]) =>
      storage.ledger.append(
        claim,
        ids.map((id, instruction) => ({ type: 'intermediate', atMs: 0, instruction, id })),
      );
    const known = async (claim: Claim, id: Digest) => (await images.steps(of(claim))).isKnown(id, claim.buildId);
    await give(main, ours);
    expect([await known(main, ours), await known(again, ours), await known(request, ours)]).toEqual([
      false,
      true,
      true,
    ]);
    await give(request, theirs, ours);
    expect([await known(main, theirs), await known(request, theirs)]).toEqual([false, false]);
    await give(again, ours);
    await storage.db.execute("UPDATE image_steps SET used_at = now() - interval '2 days'");
    await collect({ imageRetentionMs: 2 * 86_400_000 });
    expect(await known(again, ours)).toBe(true);
    await collect();
    expect(await known(again, ours)).toBe(false);
  });

  it.each(['layer a', 'statement a'])('takes a name in another scope only while it has its %s', async (blob) => {
    const [main, request] = [await claimBuild(storage), await claimBuild(storage, 'one', 'default', 'pr-7')];
    const digest = await keep(main, 'a', ['docker.io/acme/app:1']);
    // As the collector does where the image was removed a moment ago.
    await storage.db.execute('UPDATE blobs SET removed_at = now() WHERE digest = $1', [digestOf(blob)]);
    await expect(images.tag(of(request), digest, 'acme/app:mine')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await images.list(of(request), { limit: 9, name: 'acme/app:mine', all: false })).images).toEqual([]);
  });

  it('stays when a build gives it a name while its last one is taken', async () => {
    const claim = await claimBuild(storage);
    const digest = await keep(claim, 'a', ['docker.io/acme/app:1']);
    const removed = await storage.db.transaction(async (sql) => {
      await sql.execute('UPDATE images SET used_at = now() WHERE digest = $1', [digest]);
      await sql.execute(
        "INSERT INTO image_names SELECT project_id, scope_id, 'docker.io/acme/app:2', digest FROM images",
      );
      const removal = images.remove(of(claim), 'acme/app:1', { force: false });
      await vi.waitFor(async () => {
        const { length } = await storage.db.query(z.object({}), 'SELECT FROM pg_locks WHERE NOT granted');
        expect(length).toBeGreaterThan(0);
      });
      return { removal };
    });
    expect(await removed.removal).toEqual({ untagged: ['docker.io/acme/app:1'], deleted: [] });
    expect((await images.get(of(claim), digest)).names).toEqual(['docker.io/acme/app:2']);
  });

  it('stays when a build makes it anew while it is collected, and neither waits for ever', async () => {
    const claim = await claimBuild(storage);
    const digest = await keep(claim, 'a', ['docker.io/acme/app:1']);
    await age(digest);
    const { collected } = await storage.db.transaction(async (sql) => {
      // As a build does it whose blobs nobody has used for a while: blobs, then the image.
      await sql.execute('UPDATE blobs SET used_at = now() WHERE digest = $1', [digestOf('layer a')]);
      const pass = new Collector({
        db: storage.db,
        content,
        limits: { ...limits, imageRetentionMs: 60_000 },
      }).collect();
      await vi.waitFor(async () => {
        const { length } = await storage.db.query(z.object({}), 'SELECT FROM pg_locks WHERE NOT granted');
        expect(length).toBeGreaterThan(0);
      });
      await sql.execute('UPDATE images SET used_at = now() WHERE digest = $1', [digest]);
      return { collected: pass };
    });
    await collected;
    expect((await images.get(of(claim), digest)).names).toEqual(['docker.io/acme/app:1']);
    await collect();
    expect(await has('layer a')).toBe(true);
  });

  it('of another project is not there', async () => {
    const own = await claimBuild(storage);
    const other = await claimBuild(storage, 'one', 'other');
    const digest = await keep(own, 'a', ['docker.io/acme/app:1']);
    for (const image of ['acme/app:1', digest, digest.slice(7, 19)])
      await expect(images.get(of(other), image)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await images.list(of(other), { limit: 9, all: true })).images).toEqual([]);
    expect(await new BuildImages(storage.db, other).places([digestOf('layer a')])).toEqual(new Map());
  });

  it('is told by the build that holds its claim alone', async () => {
    const claim = await claimBuild(storage);
    const digest = await keep(claim, 'a', []);
    await storage.db.execute("UPDATE builds SET fence = nextval('build_fences') WHERE id = $1", [claim.buildId]);
    await expect(keep(claim, 'b', ['docker.io/acme/app:1'])).rejects.toMatchObject({ code: 'FENCED' });
    await expect(new BuildImages(storage.db, claim).pushed(digest, ['docker.io/acme/app:1'])).rejects.toMatchObject({
      code: 'FENCED',
    });
  });

  it('is found by the first digits of its digest or its id, unless several have them', async () => {
    const claim = await claimBuild(storage);
    const made = [];
    for (let n = 0; n < 20; n++) made.push(await keep(claim, `n${n}`, [`docker.io/acme/app:${n}`]));
    const [first] = made;
    if (first === undefined) throw new Error('no image');
    expect((await images.get(of(claim), first.slice(7, 27))).digest).toBe(first);
    await expect(images.get(of(claim), first.slice(7, 10))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const pages: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await images.list(of(claim), { limit: 7, cursor, name: 'acme/app', all: false });
      pages.push(...page.images.map(({ digest }) => digest));
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(pages).toEqual(made.toReversed());
    expect((await images.list(of(claim), { limit: 7, name: 'acme/app:1', all: false })).images).toHaveLength(1);
  });
});
