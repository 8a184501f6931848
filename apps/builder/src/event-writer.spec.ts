import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { KilnError, silentLogger, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { EventWriter } from './event-writer.ts';

const vertex = digestOf('v');
const log = (text: string, stream: 1 | 2 = 1): BuildEvent => ({ type: 'log', atMs: 1, vertex, stream, text });
const clock = { ...systemClock, sleep: (_ms: number) => new Promise<void>((resolve) => setImmediate(resolve)) };

function writer(append: (events: readonly BuildEvent[]) => Promise<unknown>) {
  const lost: unknown[] = [];
  const made = new EventWriter({ append, clock, logger: silentLogger, onLost: (thrown) => lost.push(thrown) });
  return { made, lost };
}

const textOf = (events: readonly BuildEvent[], stream: number): string =>
  events.map((event) => (event.type === 'log' && event.stream === stream ? event.text : '')).join('');

describe('EventWriter', () => {
  it('keeps order, joins neighbouring output and loses nothing', async () => {
    const written: BuildEvent[] = [];
    const { made } = writer(async (events) => void written.push(...events));
    for (let index = 0; index < 500; index++) void made.emit(log(`${index}\n`));
    void made.emit({ type: 'vertexStarted', atMs: 2, vertex });
    void made.emit(log('after\n'));
    await made.flush();
    expect(textOf(written, 1)).toBe(`${Array.from({ length: 500 }, (_, index) => `${index}\n`).join('')}after\n`);
    expect(written.map((event) => event.type)).toEqual(['log', 'vertexStarted', 'log']);
  });

  it('knows of joined output what the last of it was, and joins none of different parts', async () => {
    const written: BuildEvent[] = [];
    const { made } = writer(async (events) => void written.push(...events));
    const from = (part: string, seq: number) => ({ ...log(`${part}${seq} `), from: { part, seq } });
    for (const event of [from('a', 1), from('a', 4), from('b', 2), log('own ')]) void made.emit(event);
    await made.flush();
    expect(written).toEqual([
      { ...log('a1 a4 '), from: { part: 'a', seq: 4 } },
      { ...log('b2 '), from: { part: 'b', seq: 2 } },
      log('own '),
    ]);
  });

  it('cuts long output between characters', async () => {
    const written: BuildEvent[] = [];
    const { made } = writer(async (events) => void written.push(...events));
    const text = `a${'😀'.repeat(50_000)}`;
    void made.emit(log(text));
    await made.flush();
    expect(written.length).toBeGreaterThan(2);
    expect(written.every((event) => event.type === 'log' && event.text.isWellFormed())).toBe(true);
    expect(textOf(written, 1)).toBe(text);
  });

  it('holds back who emits more than is written', async () => {
    const gate = Promise.withResolvers<void>();
    const { made } = writer(() => gate.promise);
    let held: Promise<void> | undefined;
    for (let index = 0; index < 100 && held === undefined; index++)
      held = made.emit(log('x'.repeat(32 * 1024))) ?? undefined;
    expect(held).toBeInstanceOf(Promise);
    gate.resolve();
    await held;
    await made.flush();
  });

  it('waits for a database that is away', async () => {
    const written: BuildEvent[] = [];
    let calls = 0;
    const { made, lost } = writer(async (events) => {
      calls++;
      if (calls < 3) throw new KilnError('UNAVAILABLE', 'down');
      written.push(...events);
    });
    void made.emit(log('x'));
    await made.flush();
    expect([calls, written.length, lost.length]).toEqual([3, 1, 0]);
  });

  it('says once that a build was taken over, and writes no more', async () => {
    let calls = 0;
    const { made, lost } = writer(async () => {
      calls++;
      throw new KilnError('FENCED', 'taken over');
    });
    void made.emit(log('x'));
    await expect(made.flush()).rejects.toThrow('taken over');
    void made.emit(log('y'));
    await expect(made.flush()).rejects.toThrow('taken over');
    expect([calls, lost.length]).toEqual([1, 1]);
  });
});
