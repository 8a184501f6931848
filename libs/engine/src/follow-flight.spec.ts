import type { CacheKey, Flight } from '#cache';
import type { ExecMount, ExecOp, Vertex } from '#graph';
import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { type FarmFlights, followFlight, ownExitCode } from './follow-flight.ts';
import { DISK_FULL_HINT, StepExit } from './run-exec.ts';
import { SecretMask } from './secret-mask.ts';
import { StepLogs } from './step-logs.ts';

const theirs = digestOf('their vertex');
const own = digestOf('own vertex');
const flight: Flight = { buildId: '7k2x', fence: 1, attempt: 1, vertex: theirs, afterSeq: 0 };
const key = digestOf('key') as CacheKey;
const exec: ExecOp = { kind: 'exec', args: ['x'], env: [], cwd: '/', user: '', network: 'none' };
const secret: ExecMount = { type: 'secret', id: 's', target: '/s', required: true, mode: 0o400, uid: 0, gid: 0 };
const agent: ExecMount = { type: 'ssh', id: 's', target: '/s', required: true, mode: 0o400, uid: 0, gid: 0 };
const cache: ExecMount = { type: 'cache', target: '/c', id: 'c', sharing: 'shared', source: '', readonly: false };

const started: BuildEvent = { type: 'vertexStarted', atMs: 1, vertex: theirs };
const log = (text: string): BuildEvent => ({ type: 'log', atMs: 2, vertex: theirs, stream: 1, text });
const done: BuildEvent = { type: 'vertexDone', atMs: 3, vertex: theirs, outcome: 'run', durationMs: 2 };
const failed = (exitCode?: number): BuildEvent => ({
  ...{ type: 'vertexFailed', atMs: 3, vertex: theirs, durationMs: 2, message: 'did not complete: exit code: 3' },
  ...(exitCode === undefined ? {} : { exitCode }),
});

/** What a build that follows another makes of what that one tells. */
async function follow(told: readonly BuildEvent[], mounts: readonly ExecMount[] = []) {
  const vertex: Vertex = {
    ...{ digest: own, op: { ...exec, mounts }, inputs: [], platform: { os: 'linux', architecture: 'amd64' } },
    label: { name: 'RUN x', stage: '', line: 1, ignoreCache: false },
  };
  const events: BuildEvent[] = [];
  const logs = new StepLogs(
    (event) => void events.push(event),
    systemClock,
    new SecretMask([Buffer.from('hunter22hunter22')]),
  );
  const flights: FarmFlights = {
    board: () => Promise.reject(new Error('not asked')),
    land: () => Promise.reject(new Error('not asked')),
    isInAir: () => Promise.reject(new Error('not asked')),
    async follow(_key, _flight, onEvent) {
      for (const event of told) await onEvent(event);
    },
  };
  const signal = new AbortController().signal;
  const ended: unknown = await followFlight(vertex, { key, flight }, { flights, logs, signal }).catch(
    (thrown: unknown) => thrown,
  );
  const text = events.map((event) => (event.type === 'log' && event.vertex === own ? event.text : '?')).join('');
  return { ended, text, tail: logs.tail(own) };
}

describe('following a step of another build', () => {
  it('shows its log as this build’s own, and says whose it is', async () => {
    const { ended, text, tail } = await follow([started, log('one\ntw'), log('o\n'), done]);
    expect([ended, text]).toEqual([true, 'waiting for build 7k2x, which runs this step\none\ntwo\n']);
    expect(tail).toEqual(['one', 'two']);
  });

  it('shows no secret of this build, though the other has not known it', async () => {
    expect((await follow([started, log('hunter22'), log('hunter22\n'), done])).text).not.toContain('hunter22');
  });

  it('fails with the exit code of the step, and its last lines', async () => {
    const { ended, tail } = await follow([started, log('no such thing\n'), failed(3)]);
    expect(ended).toBeInstanceOf(StepExit);
    expect(ended).toMatchObject({ exitCode: 3, code: 'STEP_FAILED', message: 'did not complete: exit code: 3' });
    expect(tail).toEqual(['no such thing']);
  });

  it('goes on where it failed for another reason, or ended before it did', async () => {
    expect((await follow([started, failed()])).ended).toBe(true);
    const left = await follow([started, log('half')]);
    expect([left.ended, left.text]).toEqual([true, expect.stringContaining('build 7k2x has left this step\n')]);
    expect((await follow([started, failed(3), started, done])).ended).toBe(true);
  });

  it.each([
    ['a secret', secret],
    ['an agent', agent],
    ['a cache mount', cache],
  ])('does not take a failure over that %s may have caused', async (_name, mount) => {
    expect((await follow([started, failed(3)], [mount])).ended).toBe(false);
    expect((await follow([started, done], [mount])).ended).toBe(true);
  });

  it('does where the value of the secret is in the key', async () => {
    const keyed = { ...secret, keyed: digestOf('value') };
    expect((await follow([started, failed(3)], [keyed])).ended).toBeInstanceOf(StepExit);
  });
});

describe('an exit code', () => {
  it('is the step’s own unless the node, or somebody, ended the process', () => {
    expect(ownExitCode(new StepExit(3, 'x'))).toBe(3);
    expect(ownExitCode(new StepExit(137, 'killed'))).toBeUndefined();
    expect(ownExitCode(new StepExit(1, 'x', DISK_FULL_HINT))).toBeUndefined();
    expect(ownExitCode(new StepExit(137, 'x', 'let it use less memory'))).toBeUndefined();
    expect(ownExitCode(new Error('x'))).toBeUndefined();
  });
});
