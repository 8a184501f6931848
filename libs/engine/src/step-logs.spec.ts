import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { describe, expect, it } from 'vitest';
import { StepLogs } from './step-logs.ts';

const step = digestOf('step');
const clock = { nowMs: () => 5, sleep: () => Promise.resolve() };

function logs() {
  const events: BuildEvent[] = [];
  const made = new StepLogs((event) => void events.push(event), clock);
  const text = (stream: 1 | 2) =>
    events.map((event) => (event.type === 'log' && event.stream === stream ? event.text : '')).join('');
  return { logs: made, events, text };
}

describe('StepLogs', () => {
  it('gives whole characters, wherever a chunk ends, and streams do not mix', async () => {
    const { logs: made, text } = logs();
    const out = Buffer.from('für 🧱');
    for (const byte of out) {
      await made.write(step, 1, Buffer.of(byte));
      await made.write(step, 2, Buffer.from('.'));
    }
    await made.end(step);
    expect(text(1)).toBe('für 🧱');
    expect(text(2)).toBe('.'.repeat(out.length));
  });

  it('says what was cut short at the end, and what is no text', async () => {
    const { logs: made, text } = logs();
    await made.write(step, 1, Buffer.of(0x61, 0xff, 0x62, 0xe2, 0x82));
    await made.end(step);
    expect(text(1)).toBe('a\ufffdb\ufffd');
  });

  it('keeps the last lines of each step, long ones by their end', async () => {
    const { logs: made } = logs();
    for (let line = 1; line <= 50; line++) await made.write(step, 1, Buffer.from(`line ${line}\n`));
    await made.write(step, 2, Buffer.from(`${'x'.repeat(5000)}end`));
    const tail = made.tail(step);
    expect(tail.at(-2)).toBe('line 50');
    expect(tail.at(-1)).toMatch(/^x{1997}end$/);
    expect(tail.length).toBeLessThanOrEqual(21);
    expect(made.tail(digestOf('other'))).toEqual([]);
  });

  it('passes a sink’s refusal on', () => {
    const made = new StepLogs(() => Promise.reject(new Error('full')), clock);
    return expect(made.write(step, 1, Buffer.from('x'))).rejects.toThrow('full');
  });
});
