import { readFileSync } from 'node:fs';
import { KilnClient } from '#client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { Farm } from './farm.ts';

const stack = new AsyncDisposableStack();
let farm: Farm;
let client: KilnClient;
beforeAll(async () => {
  farm = stack.use(await Farm.start());
  client = stack.use(new KilnClient({ baseUrl: farm.url, token: farm.token }));
});
afterAll(() => stack.disposeAsync());

const LINE_BYTES = 64;
const LINES = process.env['KILN_TEST_LENGTH'] === 'long' ? 6_400_000 : 1_600_000;
/** What garbage takes at most; four times the output takes no more. */
const GROWTH_BYTES = 320 * 1024 * 1024;

/** The most memory that a process has used. */
function peakBytes(pid: number): number {
  const [, kib = ''] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

const numbered = (line: number): string => String(line).padStart(LINE_BYTES - 1, '.');

describe('a step that prints 100 MB and more', () => {
  it('is kept whole, in order, and costs no process its memory', async () => {
    const dir = await farm.folder();
    await write(dir, {
      Dockerfile: `FROM box:1\nRUN awk 'BEGIN { for (i = 1; i <= ${LINES}; i++) { s = sprintf("%${LINE_BYTES - 1}d", i); gsub(" ", ".", s); print s } }'\n`,
    });
    const pids = await farm.pids();
    const before = pids.map(peakBytes);
    const built = await farm.build(dir, '--progress=quiet');
    const { id } = built['kiln.build'];

    let next = 1;
    let seen = 0;
    let rest = '';
    let resumeAt = 0;
    for await (const { seq, event } of client.events(id)) {
      expect(seq).toBe(++seen);
      if (event.type !== 'log') continue;
      if (seq % 1000 === 0) resumeAt = seq;
      const lines = (rest + event.text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== numbered(next++)) throw new Error(`${line} where ${next - 1} belongs`);
    }
    expect([next - 1, rest]).toEqual([LINES, '']);

    const resumed: number[] = [];
    for await (const { seq } of client.events(id, { after: resumeAt })) resumed.push(seq);
    expect(resumed).toEqual(Array.from({ length: seen - resumeAt }, (_, index) => resumeAt + 1 + index));

    const { code, stdout } = await farm.cli(['logs', id, '--step', '2']).ended;
    expect(code).toBe(0);
    expect(stdout.split('\n').filter((line) => line.includes('......'))).toHaveLength(LINES);
    expect(stdout).toContain(numbered(LINES));

    const [{ archives, loose } = { archives: 0, loose: 0 }] = await farm.db.query(
      z.object({ archives: z.int(), loose: z.coerce.number() }),
      `SELECT (SELECT count(*)::int FROM event_archives WHERE build_id = $1) AS archives, loose_bytes AS loose
       FROM builds WHERE id = $1`,
      [id],
    );
    expect(archives).toBeGreaterThan(10);
    expect(loose).toBeLessThan(LINES * LINE_BYTES);
    const growth = pids.map((pid, index) => peakBytes(pid) - (before[index] ?? 0));
    expect(Math.max(...growth)).toBeLessThan(GROWTH_BYTES);
  });
});
