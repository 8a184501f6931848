import { describe, expect, it, vi } from 'vitest';
import { SharedFlights } from './shared-flights.ts';

const never = new AbortController().signal;

/** Work that ends when it is told to, or when it is stopped. */
function work() {
  const ending = Promise.withResolvers<string>();
  let signal: AbortSignal | undefined;
  const run = vi.fn((given: AbortSignal) => {
    signal = given;
    given.addEventListener('abort', () => ending.reject(given.reason));
    return ending.promise;
  });
  return { run, end: ending.resolve, fail: ending.reject, stopped: () => signal?.aborted };
}

describe('SharedFlights', () => {
  it('does the same work once for all who want it at the same time', async () => {
    const flights = new SharedFlights<string>();
    const { run, end } = work();
    const all = [flights.join('a', never, run), flights.join('a', never, run)];
    end('done');
    expect(await Promise.all(all)).toEqual(['done', 'done']);
    expect(run).toHaveBeenCalledOnce();
  });

  it('begins anew once it is done, or has failed', async () => {
    const flights = new SharedFlights<string>();
    await expect(flights.join('a', never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await flights.join('a', never, () => Promise.resolve('second'))).toBe('second');
    expect(await flights.join('a', never, () => Promise.resolve('third'))).toBe('third');
  });

  it('lets one go without the other', async () => {
    const flights = new SharedFlights<string>();
    const { run, end, stopped } = work();
    const leaving = new AbortController();
    const left = flights.join('a', leaving.signal, run);
    const stays = flights.join('a', never, run);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(stopped()).toBe(false);
    end('done');
    expect(await stays).toBe('done');
  });

  it('stops the work when the last has gone, and lets nobody join what is being stopped', async () => {
    const flights = new SharedFlights<string>();
    const first = work();
    const leaving = new AbortController();
    const left = flights.join('a', leaving.signal, first.run);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(first.stopped()).toBe(true);
    const second = work();
    const joined = flights.join('a', never, second.run);
    second.end('anew');
    expect(await joined).toBe('anew');
  });

  it('does not start for who is gone already', async () => {
    const { run } = work();
    await expect(new SharedFlights<string>().join('a', AbortSignal.abort(new Error('gone')), run)).rejects.toThrow(
      'gone',
    );
    expect(run).not.toHaveBeenCalled();
  });
});
