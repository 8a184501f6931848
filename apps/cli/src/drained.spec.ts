import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { drained } from './drained.ts';

describe('drained', () => {
  it('waits for a slow reader, and for nobody else', async () => {
    let take = (): void => undefined;
    const stream = new Writable({ highWaterMark: 4, write: (_chunk, _encoding, done) => void (take = done) });
    await drained(stream);
    stream.write('more than four');
    let free = false;
    const waiting = drained(stream).then(() => (free = true));
    await Promise.resolve();
    expect(free).toBe(false);
    take();
    await waiting;
    expect(stream.listenerCount('drain') + stream.listenerCount('error')).toBe(0);
  });

  it('ends when the reader has gone', async () => {
    const stream = new Writable({ highWaterMark: 1, write: () => undefined });
    stream.write('never taken');
    const waiting = drained(stream);
    stream.destroy();
    await waiting;
  });
});
