import type { CacheKey, Flight } from '#cache';
import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { KilnError, silentLogger, systemClock } from '#std';
import type { EventFeed } from '#storage';
import { describe, expect, it } from 'vitest';
import { FollowedFlights } from './followed-flights.ts';

const vertex = digestOf('vertex');
const flight: Flight = { buildId: '7k2x', fence: 1, attempt: 1, vertex, afterSeq: 3 };
const key = digestOf('key') as CacheKey;
const log = (text: string, of = vertex): BuildEvent => ({ type: 'log', atMs: 1, vertex: of, stream: 1, text });
const started = (attempt: number): BuildEvent => ({ type: 'started', atMs: 1, builderId: 'one', attempt });
const done: BuildEvent = { type: 'vertexDone', atMs: 1, vertex, outcome: 'run', durationMs: 1 };
/** nothing new for now */
const QUIET = 'quiet' as const;
/** the database is away */
const AWAY = 'away' as const;

/** What is handed on of what a build tells, whose flight ends once so much was told. */
async function follow(told: readonly (BuildEvent | typeof QUIET | typeof AWAY)[], landedAfter = Infinity) {
  const texts: string[] = [];
  let nowMs = 0;
  let at = 0;
  let firstSeq: number | undefined;
  const watch: EventFeed['watch'] = async function* (_build, afterSeq, _signal, over) {
    firstSeq ??= afterSeq;
    for (; at < told.length; ) {
      const event = told[at++];
      if (event === AWAY) throw new KilnError('UNAVAILABLE', 'away');
      nowMs += 400;
      if (event === QUIET || event === undefined) {
        if ((await over?.()) === true) return;
      } else yield { seq: at, event };
    }
    throw new Error('more was asked for than there is');
  };
  const flights = new FollowedFlights({
    flights: {
      board: () => Promise.reject(new Error('not asked')),
      land: () => Promise.reject(new KilnError('UNAVAILABLE', 'away')),
      isInAir: async () => at <= landedAfter,
    },
    feed: { watch },
    clock: { ...systemClock, nowMs: () => nowMs },
    logger: silentLogger,
    wait: async (work) => {
      for (;;) {
        try {
          return await work();
        } catch (thrown) {
          if (!(thrown instanceof KilnError)) throw thrown;
        }
      }
    },
  });
  const tell = (event: BuildEvent): void => void texts.push(event.type === 'log' ? event.text : event.type);
  await flights.follow(key, flight, tell, new AbortController().signal);
  await flights.land(key);
  return { texts, firstSeq, read: at };
}

describe('what is heard of a flight', () => {
  it('is all that its build tells of the step, to its end and its landing', async () => {
    const told = [started(1), log('a'), log('of another', digestOf('x')), QUIET, log('b'), done, QUIET, QUIET];
    const { texts, firstSeq, read } = await follow(told, 7);
    expect([texts, firstSeq, read]).toEqual([['a', 'b', 'vertexDone'], 3, 8]);
  });

  it('is the rest of its log, which may come after the landing', async () => {
    const { texts } = await follow([log('a'), QUIET, QUIET, log('b'), done, QUIET], 1);
    expect(texts).toEqual(['a', 'b', 'vertexDone']);
  });

  it('is waited for no longer than a moment', async () => {
    const { texts, read } = await follow([log('a'), ...Array.from({ length: 9 }, () => QUIET)], 1);
    expect([texts, read]).toEqual([['a'], 5]);
  });

  it('is nothing of the build’s next attempt, nor of its end', async () => {
    expect((await follow([log('a'), started(2), log('b')])).texts).toEqual(['a']);
    expect((await follow([log('a'), { type: 'cancelled', atMs: 1, reason: '' }])).texts).toEqual(['a']);
  });

  it('goes on where it was when the database comes back', async () => {
    expect((await follow([log('a'), AWAY, log('b'), done, QUIET], 4)).texts).toEqual(['a', 'b', 'vertexDone']);
  });
});
