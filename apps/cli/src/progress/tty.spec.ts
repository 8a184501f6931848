import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ProgressEvent, Terminal } from './client-event.ts';
import { build, hit, id, log, plan, result } from './story.contract.ts';
import { TtyRenderer } from './tty.ts';

/** As much of a terminal as the view uses: wraps lines, moves up, clears below; keeps what has scrolled away. */
class Screen implements Terminal {
  lines: string[] = [''];
  cursorHidden = false;
  #row = 0;
  #listeners = new Set<() => void>();

  constructor(
    public columns: number,
    public rows: number,
  ) {}

  write(text: string): void {
    for (const [piece] of text.matchAll(/\x1b\[(\?25[lh]|\d*[A-Za-z])|\x1b\[[\d;]*m|\n|\r|[^\x1b\n\r]+/g))
      this.#apply(piece);
  }

  onResize(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The window gets narrower or wider, and lines that do not fit wrap, as terminals do. */
  resize(columns: number): void {
    const wrapped = this.lines.flatMap((line) => (line === '' ? [''] : chunks(line, columns)));
    this.#row += wrapped.length - this.lines.length;
    this.lines = wrapped;
    this.columns = columns;
    for (const listener of this.#listeners) listener();
  }

  get text(): string {
    return this.lines.join('\n').trimEnd();
  }

  get listening(): number {
    return this.#listeners.size;
  }

  #apply(piece: string): void {
    if (piece === '\n') {
      this.#row += 1;
      if (this.lines[this.#row] === undefined) this.lines.push('');
    } else if (piece === '\x1b[?25l' || piece === '\x1b[?25h') this.cursorHidden = piece.endsWith('l');
    else if (piece === '\x1b[J') this.lines.splice(this.#row, Infinity, '');
    else if (piece.startsWith('\x1b[') && piece.endsWith('A')) {
      const up = Number(piece.slice(2, -1));
      if (up > Math.min(this.#row, this.rows - 1)) throw new Error(`the cursor cannot go up ${up} rows`);
      this.#row -= up;
    } else if (!piece.startsWith('\x1b') && piece !== '\r') {
      const rows = chunks(piece, this.columns);
      if (rows.length > 1) throw new Error(`too wide: ${piece}`);
      this.lines[this.#row] += piece;
    }
  }
}

const chunks = (text: string, width: number): string[] => text.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [''];

afterEach(() => vi.useRealTimers());

function start(
  columns = 100,
  rows = 40,
): { screen: Screen; renderer: TtyRenderer; at: (nowMs: number, ...events: ProgressEvent[]) => string } {
  vi.useFakeTimers();
  let now = 0;
  const screen = new Screen(columns, rows);
  const renderer = new TtyRenderer({ terminal: screen, nowMs: () => now });
  const at = (nowMs: number, ...events: ProgressEvent[]): string => {
    now = nowMs;
    for (const event of events) renderer.show(event);
    vi.advanceTimersByTime(100);
    return screen.text;
  };
  return { screen, renderer, at };
}

const context = { files: 1204, sizeBytes: 18_300_000 };
const begin: readonly ProgressEvent[] = [
  { type: 'sent', atMs: 200, context, sentBytes: 18_900_000, durationMs: 200 },
  { type: 'accepted', atMs: 200, build, farm: { url: 'http://127.0.0.1:8420', embedded: true } },
  {
    type: 'planned',
    atMs: 200,
    vertices: plan(
      '[internal] load build context',
      '[1/4] FROM node:20-slim',
      '[2/4] RUN apt-get install -y git',
      '[3/4] COPY . .',
      '[4/4] RUN make',
    ),
  },
  { type: 'vertexDone', atMs: 200, vertex: id(1), outcome: 'done', durationMs: 0 },
  { type: 'vertexDone', atMs: 200, vertex: id(2), outcome: 'hit', durationMs: 0, hit: hit(21_000) },
];

describe('the live view', () => {
  it('shows what runs, what it says, what waits; and in the end what happened', () => {
    const { screen, at } = start();
    const running = at(
      1300,
      ...begin,
      { type: 'vertexDone', atMs: 300, vertex: id(3), outcome: 'run', durationMs: 90, miss: 'files changed: a.ts' },
      { type: 'vertexStarted', atMs: 300, vertex: id(4) },
      log(4, 400, 'one\ntwo\n\x1b[31mthree\x1b[0m \x1b[5Aup\nhalf'),
      { ...log(4, 1300, ''), atMs: 1300 },
    );
    expect(running).toBe(` kiln  r/a:b · build 7k3m · scope main · farm http://127.0.0.1:8420 (embedded)

   context     1,204 files, 18.3 MB (18.9 MB sent)                                      0.2s
 ✓ 1/4         FROM node:20-slim                                                        0.0s
 ✓ 2/4         RUN apt-get install -y git                                     hit       saved 21s
 ✓ 3/4         COPY . .                                                       run       0.1s
               miss: files changed: a.ts
 ▸ 4/4         RUN make                                                       running   1.0s
               one
               two
               three up
               half`);
    expect(screen.cursorHidden).toBe(true);
    const ended = at(
      2000,
      { type: 'vertexDone', atMs: 2000, vertex: id(4), outcome: 'run', durationMs: 1700 },
      { type: 'succeeded', atMs: 2000, result: result({ names: ['r/a:b'], pushed: 210_000, savedMs: 21_000 }) },
    );
    expect(ended.split('\n').slice(5)).toEqual([
      ' ✓ 3/4         COPY . .                                                       run       0.1s',
      '               miss: files changed: a.ts',
      ' ✓ 4/4         RUN make                                                       run       1.7s',
      ' pushed       r/a:b',
      ` digest       ${id(9)}  210 kB sent`,
      '',
      ' done in 2.0s · 1 of 3 steps from the cache · 21s saved · http://127.0.0.1:8420/b/7k3m',
    ]);
    expect([screen.cursorHidden, screen.listening, vi.getTimerCount()]).toEqual([false, 0, 0]);
  });

  it('shows what is sent while the build waits for it', () => {
    const { at } = start();
    const sentFiles = { files: 310, sizeBytes: 2_100_000 };
    at(200, ...begin);
    const busy = at(800, { type: 'sending', atMs: 500, context, sentBytes: 19_900_000, sentFiles });
    expect(busy).toMatch(/▸ context {5}sending 310 files, 2\.1 MB \(of 18\.3 MB\)/);
    const idle = at(1000, { type: 'sent', atMs: 1000, context, sentBytes: 19_900_000, sentFiles, durationMs: 700 });
    expect(idle).not.toContain('sending');
    expect(idle).toContain('context     1,204 files, 18.3 MB (18.9 MB sent)');
  });

  it('shows a failure with the step’s output, the Dockerfile and the command for the log', () => {
    const { at } = start();
    const message = 'process "make" did not complete successfully: exit code: 2';
    const text = at(
      1000,
      ...begin.slice(2),
      { type: 'vertexStarted', atMs: 300, vertex: id(4) },
      log(4, 400, 'make: *** no rule\n'),
      { type: 'vertexFailed', atMs: 700, vertex: id(4), durationMs: 400, message },
      {
        type: 'failed',
        atMs: 700,
        failure: {
          code: 'STEP_FAILED',
          message,
          vertex: id(4),
          name: '[4/4] RUN make',
          exitCode: 2,
          excerpt: { file: 'Dockerfile', line: 4, firstLine: 3, lines: ['COPY . .', 'RUN make'] },
        },
      },
    );
    expect(text).toBe(` ✓ 1/4         FROM node:20-slim                                                        0.0s
 ✓ 2/4         RUN apt-get install -y git                                     hit       saved 21s
 ✗ 4/4         RUN make                                                       exit 2    0.4s
               make: *** no rule

 Dockerfile:4
   3 | COPY . .
 > 4 | RUN make

 build failed: step 4/4 exited with 2 after 0.4s`);
  });

  it('stays whole when the window becomes narrower', () => {
    const { screen, at } = start();
    at(1000, ...begin, { type: 'vertexStarted', atMs: 900, vertex: id(4) }, log(4, 950, `${'long '.repeat(15)}\n`));
    screen.resize(50);
    const text = at(1100, log(4, 1100, 'next\n'));
    expect(text.split('\n').filter((line) => line.includes('RUN make'))).toHaveLength(1);
    expect(
      text
        .split('\n')
        .slice(-2)
        .map((line) => line.trim().slice(0, 8)),
    ).toEqual(['long lon', 'next']);
  });

  it('never draws more than the window holds', () => {
    const { at } = start(80, 8);
    const names = Array.from({ length: 30 }, (_, n) => `[s${n} 1/1] RUN ${n}`);
    const started = [0, 1, 2].map((n): ProgressEvent => ({ type: 'vertexStarted', atMs: 0, vertex: id(n) }));
    const text = at(
      100,
      { type: 'planned', atMs: 0, vertices: plan(...names) },
      ...started,
      log(0, 50, 'a\nb\nc\nd\ne\nf\n'),
    );
    expect(text.split('\n').length).toBeLessThan(8);
    expect(text).toContain('s2 1/1');
    expect(text).toMatch(/… and 27 more$/);
    // The screen throws where the cursor would have to leave the window.
    at(200, log(1, 150, 'x\ny\n'));
  });

  it('writes warnings above what goes on, once', () => {
    const { at } = start();
    at(
      500,
      ...begin,
      { type: 'vertexStarted', atMs: 400, vertex: id(4) },
      { type: 'warning', atMs: 450, message: 'node:20-slim: a stand-in is used' },
    );
    const lines = at(900).split('\n');
    expect(lines.filter((line) => line.includes('stand-in'))).toEqual([' ! node:20-slim: a stand-in is used']);
    expect(lines.at(-1)).toContain('RUN make');
  });

  it('counts what the checks found when the build ends', () => {
    const { at } = start();
    const excerpt = { file: 'Dockerfile', line: 2, firstLine: 2, lines: ['CMD a'] };
    at(
      500,
      ...begin,
      { type: 'warning', atMs: 450, message: 'JSONArgsRecommended: x', rule: 'JSONArgsRecommended', line: 2, excerpt },
      { type: 'failed', atMs: 480, failure: { code: 'STEP_FAILED', message: 'no' } },
    );
    const lines = at(900).split('\n');
    expect(lines.filter((line) => line.includes('JSONArgsRecommended'))).toHaveLength(1);
    const count = lines.indexOf(' 1 warning found (use --check to expand):');
    expect(lines[count + 1]).toBe('  - JSONArgsRecommended: x (line 2)');
    expect(lines.at(-1)).toContain('build failed: no');
  });
});
