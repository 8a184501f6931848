import { digestOf } from '#oci';
import { type BuilderRegistration, BuilderRegistry, type Claim, type NewPart } from '#storage';
import { isKilnError } from '#std';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { claimBuild, goSilent, nextId, startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

const TTL_MS = 50;

function newPart(more: Partial<NewPart> = {}): NewPart {
  const id = nextId();
  return {
    id,
    platform: 'linux/arm64',
    part: '{"steps":["\\u0000"]}',
    fingerprint: id,
    sealed: Buffer.from('s'),
    ...more,
  };
}

async function stateOf({ projectId }: Claim, id: string): Promise<string> {
  return (await storage.ledger.get(projectId, id)).state;
}

describe('a part of a build', () => {
  it('is a build with its parent’s context and turn, without outputs, in no list', async () => {
    const { ledger } = storage;
    const parent = await claimBuild(storage);
    const part = newPart();
    const queued = await ledger.createPart(parent, part);
    expect(queued).toMatchObject({ buildId: part.id, attempt: 1, platform: 'linux/arm64' });
    const claim = await ledger.claim(part.id, 1, 'arm');
    expect(claim).toMatchObject({
      part: { text: part.part, platform: 'linux/arm64' },
      context: { digest: digestOf('manifest') },
    });
    expect(claim?.request).toMatchObject({ platforms: ['linux/arm64'], outputs: [], tags: [] });
    expect(Buffer.from(claim?.sealed ?? []).toString()).toBe('s');
    expect(parent.part).toBeNull();
    const fetched = {
      page: { type: 'http', url: 'https://x/y' },
      context: { type: 'git', url: 'https://x/z' },
    } as const;
    const request = { ...parent.request, contexts: { ...fetched, sent: { type: 'local' } as const } };
    const other = await ledger.createPart({ ...parent, request }, newPart());
    expect((await ledger.claim(other.buildId, 1, 'arm'))?.request.contexts).toEqual({ sent: { type: 'local' } });
    const { builds } = await ledger.list(parent.projectId, { limit: 50 });
    expect(builds.map(({ id }) => id)).toContain(parent.buildId);
    expect(builds.map(({ id }) => id)).not.toContain(part.id);
  });

  it('is taken over where the same is at work, and made anew once that has ended', async () => {
    const { ledger } = storage;
    const parent = await claimBuild(storage);
    const [first, second, third] = [1, 2, 3].map(() => newPart({ fingerprint: 'same' }));
    if (first === undefined || second === undefined || third === undefined) throw new Error('no parts');
    await ledger.createPart(parent, first);
    expect((await ledger.createPart(parent, second)).buildId).toBe(first.id);
    await ledger.requestCancel(parent.projectId, first.id);
    expect((await ledger.createPart(parent, third)).buildId).toBe(third.id);
    const other = await claimBuild(storage);
    expect((await ledger.createPart(other, second)).buildId).toBe(second.id);
  });

  it('is not to be had for a claim that was lost', async () => {
    const parent = await claimBuild(storage);
    await storage.ledger.release(parent);
    await expect(storage.ledger.createPart(parent, newPart())).rejects.toSatisfy((thrown) =>
      isKilnError(thrown, 'FENCED'),
    );
  });

  it('waits with its platform, and again after its builder was lost', async () => {
    const { ledger } = storage;
    const parent = await claimBuild(storage);
    const { buildId } = await ledger.createPart(parent, newPart());
    const waiting = async () => (await ledger.queuedOlderThan(0)).find((build) => build.buildId === buildId);
    expect(await waiting()).toMatchObject({ attempt: 1, platform: 'linux/arm64' });
    await ledger.claim(buildId, 1, 'arm');
    await goSilent(storage, buildId);
    const lost = (await ledger.expired(TTL_MS)).find((build) => build.buildId === buildId);
    expect(lost).toMatchObject({ attempt: 2, platform: 'linux/arm64' });
  });

  it('is cancelled with its build', async () => {
    const { ledger } = storage;
    const parent = await claimBuild(storage);
    const [queued, running] = [newPart(), newPart()];
    for (const part of [queued, running]) await ledger.createPart(parent, part);
    const claim = await ledger.claim(running.id, 1, 'arm');
    await ledger.requestCancel(parent.projectId, parent.buildId);
    expect(await stateOf(parent, queued.id)).toBe('cancelled');
    expect(claim && (await ledger.heartbeat(claim))).toEqual({ cancelReason: 'cancelled on request' });
  });

  it('is cancelled once its build has ended in any other way', async () => {
    const { ledger } = storage;
    const parent = await claimBuild(storage);
    const part = newPart();
    await ledger.createPart(parent, part);
    await ledger.expired(60_000);
    expect(await stateOf(parent, part.id)).toBe('queued');
    await ledger.finish(parent, { type: 'failed', atMs: 1, failure: { code: 'STEP_FAILED', message: 'no' } });
    await ledger.expired(60_000);
    expect(await stateOf(parent, part.id)).toBe('cancelled');
  });
});

describe('who is fit for a platform', () => {
  let builders: BuilderRegistry;
  beforeEach(async () => {
    builders = new BuilderRegistry(storage.db);
    await storage.db.execute('DELETE FROM builders');
  });
  const fittest = (platform: string) => builders.fittest(platform, 10_000);
  const register = (id: string, more: BuilderRegistration) => builders.register(id, more);

  it('runs it by its processor before who emulates it, the least busy first', async () => {
    expect(await fittest('linux/arm64')).toBeNull();
    await register('amd', { platforms: ['linux/amd64', 'linux/386'], emulated: ['linux/arm64'] });
    expect(await fittest('linux/arm64')).toBe('amd');
    await register('arm-1', { platforms: ['linux/arm64'] });
    await register('arm-2', { platforms: ['linux/arm64'] });
    await claimBuild(storage, 'arm-1');
    expect(await fittest('linux/arm64')).toBe('arm-2');
    await claimBuild(storage, 'arm-2');
    await claimBuild(storage, 'arm-2');
    expect(await fittest('linux/arm64')).toBe('arm-1');
    expect(await fittest('linux/386')).toBe('amd');
    expect(await fittest('linux/s390x')).toBeNull();
  });

  it('takes work', async () => {
    await register('arm', { platforms: ['linux/arm64'] });
    await builders.heartbeat('arm', 'draining');
    expect(await fittest('linux/arm64')).toBeNull();
    await builders.heartbeat('arm', 'ready');
    await storage.db.execute("UPDATE builders SET heartbeat_at = now() - interval '1 minute'");
    expect(await fittest('linux/arm64')).toBeNull();
  });

  it('is what builds are for that do not say it: the same for all builders, those away for a moment included', async () => {
    expect(await builders.defaultPlatform()).toBeNull();
    await register('b', { platforms: ['linux/arm64'] });
    expect(await builders.defaultPlatform()).toBe('linux/arm64');
    await register('a', { platforms: ['linux/amd64', 'linux/386'] });
    await builders.heartbeat('a', 'stopped');
    expect(await builders.defaultPlatform()).toBe('linux/amd64');
    await storage.db.execute("UPDATE builders SET heartbeat_at = now() - interval '2 hours' WHERE id = 'a'");
    expect(await builders.defaultPlatform()).toBe('linux/arm64');
  });
});
