import type { BuildEvent } from '#protocol';
import { describe, expect, it } from 'vitest';
import { PlainRenderer } from './plain.ts';
import { build, config, hit, id, log, plan, result } from './story.contract.ts';
import type { ProgressEvent } from './client-event.ts';

function shown(events: readonly ProgressEvent[]): string {
  let text = '';
  let nowMs = 0;
  const renderer = new PlainRenderer({ write: (piece) => void (text += piece), nowMs: () => nowMs });
  for (const event of events) {
    nowMs = event.atMs;
    renderer.show(event);
  }
  renderer.close();
  return text;
}

const context = { files: 1204, sizeBytes: 18_300_000 };
const before: readonly ProgressEvent[] = [
  { type: 'sending', atMs: 0, context, sentBytes: 0 },
  { type: 'sent', atMs: 200, context, sentBytes: 18_900_000, durationMs: 200 },
  { type: 'accepted', atMs: 200, build, farm: { url: 'http://127.0.0.1:8420', embedded: true } },
  { type: 'started', atMs: 210, builderId: 'builder-1', attempt: 1 },
];

describe('plain progress', () => {
  it('tells a build in BuildKit’s manner: hits, a miss, output, exporting, pushing, the sum', () => {
    const text = shown([
      ...before,
      {
        type: 'planned',
        atMs: 220,
        vertices: plan(
          '[internal] load build context',
          '[1/4] FROM node:20-slim',
          '[2/4] RUN apt-get install -y git\n  make',
          '[3/4] COPY . .',
          '[4/4] RUN make',
        ),
      },
      { type: 'vertexDone', atMs: 225, vertex: id(0), outcome: 'done', durationMs: 1 },
      { type: 'vertexDone', atMs: 230, vertex: id(1), outcome: 'done', durationMs: 12 },
      { type: 'vertexDone', atMs: 230, vertex: id(2), outcome: 'hit', durationMs: 0, hit: hit(21_000) },
      { type: 'vertexStarted', atMs: 240, vertex: id(3) },
      {
        type: 'vertexDone',
        atMs: 540,
        vertex: id(3),
        outcome: 'run',
        durationMs: 300,
        miss: 'files changed: src/index.ts (compared with build 7k2x on main)',
      },
      { type: 'vertexStarted', atMs: 540, vertex: id(4), miss: 'what it stands on has changed' },
      log(4, 1052, 'compiling\rlinking\nhalf a '),
      log(4, 1060, 'line'),
      {
        type: 'vertexDone',
        atMs: 1740,
        vertex: id(4),
        outcome: 'run',
        durationMs: 1200,
        miss: 'what it stands on has changed',
      },
      {
        type: 'progress',
        atMs: 1740,
        id: 'export',
        name: 'exporting to image',
        current: 0,
        unit: 'items',
        done: false,
      },
      { type: 'progress', atMs: 1790, id: 'export', name: 'exporting to image', current: 0, unit: 'items', done: true },
      {
        type: 'progress',
        atMs: 1790,
        id: 'push r/a:b',
        name: 'pushing r/a:b',
        current: 0,
        total: 50_000_000,
        unit: 'bytes',
        done: false,
      },
      {
        type: 'progress',
        atMs: 3000,
        id: 'push r/a:b',
        name: 'pushing r/a:b',
        current: 9_000_000,
        total: 50_000_000,
        unit: 'bytes',
        done: false,
      },
      {
        type: 'progress',
        atMs: 7000,
        id: 'push r/a:b',
        name: 'pushing r/a:b',
        current: 30_000_000,
        total: 50_000_000,
        unit: 'bytes',
        done: false,
      },
      {
        type: 'progress',
        atMs: 8790,
        id: 'push r/a:b',
        name: 'pushing r/a:b',
        current: 50_000_000,
        total: 50_000_000,
        unit: 'bytes',
        done: true,
      },
      { type: 'succeeded', atMs: 8800, result: result({ names: ['r/a:b'], pushed: 210_000, savedMs: 21_000 }) },
    ]);
    expect(text).toBe(`#1 [internal] load build context
#1 transferring context: 1,204 files, 18.3 MB (18.9 MB sent) 0.2s done
#1 DONE 0.2s

#2 [1/4] FROM node:20-slim
#2 DONE 0.0s

#3 [2/4] RUN apt-get install -y git make
#3 CACHED (saved 21.0s, from build 7k2x on main)

#4 [3/4] COPY . .
#4 miss: files changed: src/index.ts (compared with build 7k2x on main)
#4 DONE 0.3s

#5 [4/4] RUN make
#5 miss: what it stands on has changed
#5 0.512 linking
#5 1.200 half a line
#5 DONE 1.2s

#6 exporting to image
#6 DONE 0.1s

#7 pushing r/a:b
#7 30.0 MB / 50.0 MB
#7 DONE 7.0s

pushed r/a:b
digest ${config}  210 kB sent
done in 8.8s · 1 of 3 steps from the cache · 21s saved · http://127.0.0.1:8420/b/7k3m
`);
  });

  it('tells what is sent while the build runs: what takes long, and the sum', () => {
    const files = (count: number): { files: number; sizeBytes: number } => ({ files: count, sizeBytes: count * 1_000 });
    const text = shown([
      ...before,
      { type: 'sending', atMs: 300, context, sentBytes: 900, sentFiles: files(0) },
      { type: 'sent', atMs: 400, context, sentBytes: 1_900, sentFiles: files(1), durationMs: 300 },
      { type: 'sending', atMs: 500, context, sentBytes: 1_900, sentFiles: files(1) },
      { type: 'sending', atMs: 1_500, context, sentBytes: 300_900, sentFiles: files(300) },
      { type: 'sent', atMs: 1_600, context, sentBytes: 310_900, sentFiles: files(310), durationMs: 1_400 },
    ]);
    expect(text).toBe(`#1 [internal] load build context
#1 transferring context: 1,204 files, 18.3 MB (18.9 MB sent) 0.2s done
#1 DONE 0.2s

#1 [internal] load build context
#1 transferring context: 1,204 files, 18.3 MB (1.9 kB sent) 0.3s done
#1 DONE 0.3s

#1 [internal] load build context
#1 sending context: 300 files, 300 kB (of 18.3 MB)
#1 transferring context: 1,204 files, 18.3 MB (311 kB sent) 1.4s done
#1 DONE 1.4s
`);
  });

  it('tells a failure: the step’s output again, the lines of the Dockerfile, what to do', () => {
    const text = shown([
      ...before.slice(2),
      { type: 'planned', atMs: 220, vertices: plan('[build 1/2] FROM a', '[build 2/2] RUN npm ci') },
      { type: 'vertexStarted', atMs: 300, vertex: id(1) },
      log(1, 400, 'npm error \x1b[31mEUSAGE\x1b[0m\n'),
      {
        type: 'vertexFailed',
        atMs: 3500,
        vertex: id(1),
        durationMs: 3200,
        message: 'process "npm ci" did not complete successfully: exit code: 1',
      },
      {
        type: 'failed',
        atMs: 3500,
        failure: {
          code: 'STEP_FAILED',
          message: 'process "npm ci" did not complete successfully: exit code: 1',
          vertex: id(1),
          name: '[build 2/2] RUN npm ci',
          exitCode: 1,
          excerpt: { file: 'Dockerfile', line: 10, firstLine: 8, lines: ['WORKDIR /w', '', 'RUN npm ci', 'COPY . .'] },
          tail: ['npm error \x1b[31mEUSAGE\x1b[0m'],
        },
      },
    ]);
    expect(text).toBe(`#1 [build 2/2] RUN npm ci
#1 0.100 npm error EUSAGE
#1 ERROR: process "npm ci" did not complete successfully: exit code: 1

------
 > [build 2/2] RUN npm ci:
npm error EUSAGE
------

Dockerfile:10
   8 | WORKDIR /w
   9 |
> 10 | RUN npm ci
  11 | COPY . .

build failed: step build 2/2 exited with 1 after 3.2s
log    kiln logs 7k3m --step build:2
`);
  });

  it('tells a syntax error with its line and its hint', () => {
    const excerpt = { file: 'Dockerfile', line: 2, firstLine: 1, lines: ['FROM a', 'RUNN x'] };
    const failure = {
      code: 'DOCKERFILE_INVALID',
      message: 'unknown instruction: RUNN',
      hint: 'did you mean RUN?',
      excerpt,
    };
    expect(shown([{ type: 'failed', atMs: 1, failure }])).toBe(`Dockerfile:2
  1 | FROM a
> 2 | RUNN x

build failed: unknown instruction: RUNN
did you mean RUN?
`);
  });

  it('keeps steps that go on at once apart, one on display until it ends or another has waited long', () => {
    const text = shown([
      { type: 'planned', atMs: 0, vertices: plan('[a 1/1] RUN a', '[b 1/1] RUN b') },
      { type: 'vertexStarted', atMs: 0, vertex: id(0) },
      { type: 'vertexStarted', atMs: 0, vertex: id(1) },
      log(0, 100, 'a1\n'),
      log(1, 200, 'b1\n'),
      log(0, 300, 'a2\n'),
      log(1, 6000, 'b2\n'),
      { type: 'vertexDone', atMs: 7000, vertex: id(0), outcome: 'joined', durationMs: 7000, hit: hit(9000) },
      { type: 'cancelled', atMs: 7500, reason: 'cancelled on request' },
    ]);
    expect(text).toBe(`#1 [a 1/1] RUN a
#1 0.100 a1
#1 0.300 a2
#1 ...

#2 [b 1/1] RUN b
#2 0.200 b1
#2 6.000 b2
#2 ...

#1 [a 1/1] RUN a
#1 JOINED 7.0s (build 7k2x on main ran it)

#2 [b 1/1] RUN b
#2 CANCELED

build cancelled: cancelled on request
`);
  });

  it('goes on after another builder took the build over', () => {
    const vertices = plan('[1/1] RUN a');
    const text = shown([
      { type: 'started', atMs: 0, builderId: 'one', attempt: 1 },
      { type: 'planned', atMs: 0, vertices },
      { type: 'vertexStarted', atMs: 0, vertex: id(0) },
      { type: 'started', atMs: 9000, builderId: 'two', attempt: 2 },
      { type: 'planned', atMs: 9000, vertices },
      { type: 'vertexStarted', atMs: 9000, vertex: id(0) },
      { type: 'warning', atMs: 9100, message: 'a stand-in is used', line: 1 },
      { type: 'vertexDone', atMs: 9500, vertex: id(0), outcome: 'run', durationMs: 500 },
    ]);
    expect(text).toBe(`#1 [1/1] RUN a
#1 ...

builder two takes the build over (attempt 2)

#1 [1/1] RUN a
#1 ...

warning: a stand-in is used (line 1)

#1 [1/1] RUN a
#1 DONE 0.5s
`);
  });

  it('shows what the checks found once, at the end', () => {
    const found: BuildEvent = {
      type: 'warning',
      atMs: 0,
      message: 'FromAsCasing: do not match',
      rule: 'FromAsCasing',
      line: 1,
      excerpt: { file: 'Dockerfile', line: 1, endLine: 2, firstLine: 1, lines: ['FROM a \\', ' as b'] },
    };
    const text = shown([
      found,
      { ...found, atMs: 10 },
      { type: 'failed', atMs: 20, failure: { code: 'DOCKERFILE_INVALID', message: 'no' } },
    ]);
    expect(text).toBe(`1 warning found (use --check to expand):
 - FromAsCasing: do not match (line 1)

build failed: no
`);
  });

  it('puts notes together, away from all else', () => {
    let text = '';
    const renderer = new PlainRenderer({ write: (more) => void (text += more), nowMs: () => 0 });
    for (const note of ['wrote a', 'wrote b']) renderer.note(note);
    renderer.show({ type: 'warning', atMs: 0, message: 'oh' });
    renderer.note('wrote c');
    renderer.close();
    expect(text).toBe('wrote a\nwrote b\n\nwarning: oh\n\nwrote c\n');
  });
});
