import { type Digest, digestOf } from '#oci';
import type { BuildEvent, BuildResult } from '#protocol';
import { describe, expect, it } from 'vitest';
import { ClassicOutput } from './classic-output.ts';

const v = (name: string): Digest => digestOf(`vertex ${name}`);
const id = (name: string): Digest => digestOf(`image ${name}`);
const short = (name: string): string => id(name).slice(7, 19);
const atMs = 0;

const lines = [
  'ARG TAG=1',
  'FROM box:$TAG AS one',
  'RUN a',
  'FROM box:1',
  'COPY --from=one /a /a',
  'RUN b',
  'CMD ["b"]',
];
const vertexOf: Readonly<Record<string, string>> = { 'RUN a': 'a', 'COPY --from=one /a /a': 'c', 'RUN b': 'b' };
const planned: BuildEvent = {
  type: 'planned',
  atMs,
  vertices: [],
  instructions: lines.map((text, line) => {
    const vertex = vertexOf[text];
    return {
      ...{ line, text },
      ...(line === 0 ? {} : { stage: line < 3 ? 0 : 1 }),
      ...(vertex === undefined ? {} : { vertex: v(vertex) }),
    };
  }),
};
const image = (instruction: number, name: string): BuildEvent => ({
  type: 'intermediate',
  atMs,
  instruction,
  id: id(name),
});
const started = (name: string): BuildEvent => ({ type: 'vertexStarted', atMs, vertex: v(name) });
const done = (name: string, outcome: 'hit' | 'run' = 'run'): BuildEvent => ({
  ...{ type: 'vertexDone', atMs, vertex: v(name), outcome, durationMs: 1 },
});
const log = (name: string, text: string, stream: 1 | 2 = 1): BuildEvent => ({
  ...{ type: 'log', atMs, vertex: v(name), stream, text },
});
const result: BuildResult = {
  ...{ configDigest: id('end'), names: [], outputs: [], durationMs: 1, savedMs: 0 },
  steps: { total: 3, hit: 0, run: 3, joined: 0 },
  bytes: { contextSent: 0, pulled: 0, pushed: 0 },
};
const delivered: BuildEvent = { type: 'delivered', atMs, result };

/** All that was said, as the client prints it; containers have no names that matter. */
function said(events: readonly BuildEvent[], known: readonly string[] = []): string {
  const output = new ClassicOutput({ buildId: 'b', tags: ['acme/app:1'], known: new Set(known) });
  const texts = events.flatMap((event, seq) =>
    output.see(event, seq).flatMap((told) => {
      if ('stream' in told) return [told.stream];
      if ('error' in told) return [`!${told.errorDetail.code}: ${told.error}\n`];
      if (!('log' in told)) return [];
      const { vertex, firstSeq, lastSeq } = told.log;
      const written = events.slice(firstSeq, lastSeq + 1).filter((each) => each.type === 'log');
      return written.filter((each) => each.vertex === vertex).map((each) => each.text);
    }),
  );
  return texts.join('').replaceAll(/(Running in|container) [0-9a-f]{12}/g, '$1 X');
}

describe('a build as docker build prints it', () => {
  it('tells steps in the file’s order, whatever order they run in', () => {
    expect(
      said([
        planned,
        image(1, 'box'),
        image(3, 'box'),
        started('b'),
        log('b', 'early\n'),
        started('a'),
        log('a', 'one\n'),
        log('a', 'two\n', 2),
        done('b'),
        image(5, 'b'),
        done('a'),
        image(2, 'a'),
        started('c'),
        done('c'),
        image(4, 'c'),
        image(6, 'end'),
        delivered,
      ]),
    ).toBe(
      [
        'Step 1/7 : ARG TAG=1',
        'Step 2/7 : FROM box:$TAG AS one',
        ` ---> ${short('box')}`,
        'Step 3/7 : RUN a',
        ' ---> Running in X',
        'one',
        '\u001B[91mtwo',
        '\u001B[0mRemoving intermediate container X',
        ` ---> ${short('a')}`,
        'Step 4/7 : FROM box:1',
        ` ---> ${short('box')}`,
        'Step 5/7 : COPY --from=one /a /a',
        ` ---> ${short('c')}`,
        'Step 6/7 : RUN b',
        ' ---> Running in X',
        'early',
        'Removing intermediate container X',
        ` ---> ${short('b')}`,
        'Step 7/7 : CMD ["b"]',
        ' ---> Running in X',
        'Removing intermediate container X',
        ` ---> ${short('end')}`,
        `Successfully built ${short('end')}`,
        'Successfully tagged acme/app:1',
        '',
      ].join('\n'),
    );
  });

  it('says Using cache of steps that hit, and of a config that was known', () => {
    const events = [
      ...[planned, image(1, 'box'), image(3, 'box')],
      ...['a', 'c', 'b'].map((name) => done(name, 'hit')),
      ...[image(2, 'a'), image(4, 'c'), image(5, 'b'), image(6, 'end'), delivered],
    ];
    expect(said(events, [id('end')]).match(/Using cache/g)).toHaveLength(4);
    expect(said(events).match(/Using cache/g)).toHaveLength(3);
    // A base is nothing that was made, whoever else gave the same.
    expect(said(events, [id('box'), id('end')]).match(/Using cache/g)).toHaveLength(4);
  });

  it('tells a failure after the step’s output, with its exit code, and nothing after it', () => {
    const failure = { code: 'STEP_FAILED', message: 'RUN b: exit code 3', vertex: v('b'), exitCode: 3 };
    const text = said([
      ...[planned, image(1, 'box'), image(3, 'box'), done('a', 'hit'), image(2, 'a'), done('c', 'hit'), image(4, 'c')],
      ...[started('b'), log('b', 'nope\n')],
      { type: 'vertexFailed', atMs, vertex: v('b'), durationMs: 1, message: 'x', exitCode: 3 },
      { type: 'failed', atMs, failure },
    ]);
    expect(text).toMatch(
      /Step 6\/7 : RUN b\n ---> Running in X\nnope\n!3: The command '\/bin\/sh -c b' returned a non-zero code: 3\n$/,
    );
  });

  it('tells a step that failed before its turn', () => {
    const failure = { code: 'STEP_FAILED', message: 'x', vertex: v('b'), exitCode: 1 };
    const text = said([
      planned,
      image(1, 'box'),
      started('a'),
      started('b'),
      log('b', 'nope\n'),
      { type: 'failed', atMs, failure },
    ]);
    expect(text).toMatch(/Step 3\/7[^]*Step 6\/7 : RUN b\nnope\n!1: /);
  });

  it('goes on where a builder took over, and says nothing twice', () => {
    const before = [planned, image(1, 'box'), started('a'), log('a', 'one\n')];
    const after = [planned, image(1, 'box'), done('a', 'hit'), image(2, 'a')];
    expect(said([...before, ...after])).toBe(
      [
        'Step 1/7 : ARG TAG=1',
        'Step 2/7 : FROM box:$TAG AS one',
        ` ---> ${short('box')}`,
        'Step 3/7 : RUN a',
        ' ---> Running in X',
        'one',
        'Removing intermediate container X',
        ` ---> ${short('a')}`,
        'Step 4/7 : FROM box:1',
        '',
      ].join('\n'),
    );
  });

  it('ends where an image was told of nothing: the numbers go on', () => {
    expect(said([planned, delivered])).toMatch(/Step 7\/7 : CMD \["b"\]\n[^]*Successfully built/);
  });

  it('tells all of a step whose turn comes late, however much that is', () => {
    const pieces = Array.from({ length: 6 }, (_, n) => log('b', `${n}:${'x'.repeat(1e6)}\n`));
    const text = said([
      ...[planned, started('a'), started('b'), ...pieces.slice(0, 3), log('a', 'of a\n'), ...pieces.slice(3)],
      ...[done('b'), image(5, 'b'), image(1, 'box'), done('a'), image(2, 'a'), image(3, 'box')],
      ...[done('c'), image(4, 'c'), delivered],
    ]);
    expect(text.match(/^\d(?=:)/gm)).toEqual(['0', '1', '2', '3', '4', '5']);
    expect(text.match(/of a/g)).toHaveLength(1);
    expect(text).toMatch(/x\nRemoving intermediate container X\n ---> .*\nStep 7\/7/);
  });

  it('tells the step in turn at once, however much of others waits', () => {
    const pieces = Array.from({ length: 6 }, () => log('b', 'x'.repeat(1e6)));
    const text = said([planned, image(1, 'box'), started('b'), ...pieces, started('a'), log('a', 'of a\n')]);
    expect(text).toMatch(/Running in X\nof a\n$/);
  });

  it('tells all of a step that failed before its turn', () => {
    const failure = { code: 'STEP_FAILED', message: 'x', vertex: v('b'), exitCode: 1 };
    const pieces = Array.from({ length: 6 }, (_, n) => log('b', `${n}:${'x'.repeat(1e6)}\n`));
    const text = said([
      planned,
      image(1, 'box'),
      started('a'),
      started('b'),
      ...pieces,
      { type: 'failed', atMs, failure },
    ]);
    expect(text.match(/^\d(?=:)/gm)).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('tells steps as they run where the file has too many instructions', () => {
    const many: BuildEvent = {
      ...{ type: 'planned', atMs, instructions: [] },
      vertices: [{ vertex: v('a'), name: '[501/900] RUN a', stage: '', line: 501, step: true, inputs: [] }],
    };
    expect(said([many, started('a'), log('a', 'one\n'), done('a'), delivered])).toMatch(
      /^\[501\/900\] RUN a\none\nSuccessfully built/,
    );
    const failure = { code: 'STEP_FAILED', message: 'x', vertex: v('a'), name: '[501/900] RUN a', exitCode: 42 };
    expect(said([many, started('a'), { type: 'failed', atMs, failure }])).toMatch(
      /\n!42: The command '\/bin\/sh -c a' returned a non-zero code: 42\n$/,
    );
  });
});
