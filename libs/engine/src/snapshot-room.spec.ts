import type { Snapshotter } from '#snapshot';
import { KilnError, silentLogger } from '#std';
import { StepClock } from '#testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { SnapshotRoom } from './snapshot-room.ts';

/** Names and what lies below them; a snapshot's directory is called as it is. */
class FakeSnapshotter implements Snapshotter {
  readonly parents = new Map<string, string | null>();
  readonly #active = new Map<string, string | null>();

  prepare(key: string, parent: string | null): Promise<readonly []> {
    this.#active.set(key, parent);
    return Promise.resolve([]);
  }
  view(): Promise<readonly []> {
    return Promise.resolve([]);
  }
  commit(name: string, key: string): Promise<void> {
    this.parents.set(name, this.#active.get(key) ?? null);
    this.#active.delete(key);
    return Promise.resolve();
  }
  has(name: string): boolean {
    return this.parents.has(name);
  }
  names(): readonly string[] {
    return [...this.parents.keys()];
  }
  parentOf(name: string): string | null {
    return this.parents.get(name) ?? null;
  }
  upperOf(name: string): string {
    return name;
  }
  async remove(name: string): Promise<void> {
    if ([...this.parents.values(), ...this.#active.values()].includes(name)) throw new KilnError('CONFLICT', name);
    if (!this.parents.delete(name) && !this.#active.delete(name)) throw new KilnError('NOT_FOUND', name);
    await Promise.resolve();
  }
}

let inner: FakeSnapshotter;
let clock: StepClock;
let room: SnapshotRoom;

beforeEach(() => {
  inner = new FakeSnapshotter();
  clock = new StepClock();
  room = roomOf(300);
});

function roomOf(maxBytes: number): SnapshotRoom {
  const measure = (dirs: readonly string[]): Promise<readonly number[]> => Promise.resolve(dirs.map(() => 100));
  return new SnapshotRoom({ snapshotter: inner, measure, maxBytes, clock, logger: silentLogger });
}

async function make(name: string, parent: string | null = null): Promise<void> {
  clock.now++;
  await room.prepare(`key ${name}`, parent);
  await room.commit(name, `key ${name}`);
}

/** A build that does this. */
async function build(work: () => Promise<void>): Promise<void> {
  clock.now++;
  {
    using _build = room.enter();
    await work();
  }
  await room[Symbol.asyncDispose]();
}

describe('the room of snapshots', () => {
  it('is kept by removing those used least recently', async () => {
    await build(async () => {
      for (const name of ['a', 'b', 'c']) await make(name);
    });
    expect(inner.names()).toEqual(['a', 'b', 'c']);
    await build(async () => {
      room.has('a');
      await make('d');
    });
    expect(inner.names()).toEqual(['a', 'd']);
  });

  it('knows what an earlier process left before the first build, and keeps that within it', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await make(name);
    room = roomOf(300);
    room.look();
    await room[Symbol.asyncDispose]();
    expect(room.use).toEqual({ bytes: 200, maxBytes: 300 });
    expect(inner.names()).toEqual(['c', 'd']);
  });

  it('takes what lies below only after what lies above', async () => {
    await build(async () => {
      await make('base');
      await make('step', 'base');
      await make('top', 'step');
      await make('other');
      await make('last');
    });
    expect(inner.names()).toEqual(['other', 'last']);
  });

  it('never takes what a build at work has seen since it began', async () => {
    await build(async () => {
      for (const name of ['a', 'b', 'c']) await make(name);
    });
    clock.now++;
    const other = room.enter();
    room.has('a');
    await build(async () => {
      for (const name of ['d', 'e', 'f']) await make(name);
    });
    expect(inner.names().toSorted()).toEqual(['a', 'd', 'e', 'f']);
    other[Symbol.dispose]();
    await room[Symbol.asyncDispose]();
    expect(inner.names()).toEqual(['e', 'f']);
  });

  it('counts what an earlier process left, and takes it first', async () => {
    await build(async () => {
      for (const name of ['a', 'b']) await make(name);
    });
    room = roomOf(300);
    await build(async () => {
      for (const name of ['c', 'd']) await make(name);
    });
    expect(inner.names()).toEqual(['c', 'd']);
  });
});
