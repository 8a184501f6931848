import { type Digest, digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { describe, expect, it } from 'vitest';
import { Tally } from './tally.ts';

const [a, b, c, image] = ['a', 'b', 'c', 'image'].map((name) => digestOf(name)) as [Digest, Digest, Digest, Digest];

function tallied(...events: readonly BuildEvent[]): Tally {
  const tally = new Tally();
  const planned = [a, b, c, image].map((vertex) => ({
    vertex,
    name: '',
    stage: '',
    line: 1,
    step: vertex !== image,
    inputs: [],
  }));
  for (const event of [{ type: 'planned', atMs: 0, vertices: planned } as const, ...events]) tally.see(event);
  return tally;
}

const done = (vertex: Digest, outcome: 'hit' | 'run' | 'joined' | 'done', more = {}): BuildEvent => ({
  type: 'vertexDone',
  atMs: 1,
  durationMs: 1,
  vertex,
  outcome,
  ...more,
});
const hit = {
  hit: { key: 'content', buildId: 'x', builderId: 'y', scope: 'main', savedMs: 1500.4, savedBytes: 1 },
} as const;

describe('Tally', () => {
  it('counts steps by what happened to them, and no sources', () => {
    const tally = tallied(done(image, 'done'), done(a, 'hit', hit), done(b, 'run'), done(c, 'joined'));
    expect(tally.counts()).toEqual({ total: 3, hit: 1, run: 1, joined: 1 });
    expect(tally.savedMs()).toBe(1500);
  });

  it('leaves out steps that were not needed, and those that changed nothing', () => {
    expect(tallied(done(a, 'run', { empty: true }), done(b, 'hit')).counts()).toEqual({
      total: 1,
      hit: 1,
      run: 0,
      joined: 0,
    });
  });

  it('keeps a step that ran as one that ran, whatever a repair finds', () => {
    expect(tallied(done(a, 'run'), done(a, 'hit', hit)).counts()).toMatchObject({ run: 1, hit: 0 });
    expect(tallied(done(a, 'hit', hit), done(a, 'run')).counts()).toMatchObject({ run: 1, hit: 0 });
  });
});
