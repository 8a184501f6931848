import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type Digest, digestOf } from '#oci';
import { SessionAnswer, type SessionAsk } from '#protocol';
import { type Clock, KilnError } from '#std';
import { WebSocket } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type WebSocket as Accepted, WebSocketServer } from 'ws';
import { BuildSession, type Lent } from './build-session.ts';

let server: WebSocketServer;
beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of server.clients) socket.terminate();
  await new Promise((resolve) => server.close(resolve));
});

/** Sleeps until it is woken. */
class Sleeper implements Clock {
  readonly #sleeping = new Set<() => void>();
  nowMs = (): number => 0;

  async sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#sleeping.add(resolve);
    signal?.addEventListener('abort', () => reject(new Error('woken')));
    await promise.finally(() => this.#sleeping.delete(resolve));
  }

  wake(): void {
    for (const resolve of this.#sleeping) resolve();
  }
}

interface Farm extends AsyncDisposable {
  ask(ask: SessionAsk): void;
  next(): Promise<SessionAnswer>;
  readonly socket: Accepted;
}

async function session(lent: Lent, clock: Clock = new Sleeper()): Promise<Farm> {
  const { port } = server.address() as AddressInfo;
  const client = new BuildSession({ ...lent, clock, open: () => new WebSocket(`ws://127.0.0.1:${port}`) });
  const [socket] = (await once(server, 'connection')) as [Accepted];
  const answers: SessionAnswer[] = [];
  const waiting: ((answer: SessionAnswer) => void)[] = [];
  socket.on('message', (data: Buffer) => {
    const answer = SessionAnswer.parse(JSON.parse(data.toString()));
    const take = waiting.shift();
    if (take === undefined) answers.push(answer);
    else take(answer);
  });
  return {
    socket,
    ask: (ask) => socket.send(JSON.stringify(ask)),
    next: () => {
      const answer = answers.shift();
      return answer === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(answer);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

const digests = [digestOf('a'), digestOf('b')];

describe('a session', () => {
  it('sends the files that the farm asks for, and says so when they are there', async () => {
    const asked: (readonly Digest[])[] = [];
    const files = async (each: readonly Digest[]): Promise<void> => void asked.push(each);
    await using farm = await session({ files });
    farm.ask({ type: 'files', id: '1', digests });
    expect([await farm.next(), asked]).toEqual([{ type: 'sent', id: '1' }, [digests]]);
  });

  it('says that it is at it as long as it takes', async () => {
    const sent = Promise.withResolvers<void>();
    const clock = new Sleeper();
    await using farm = await session({ files: () => sent.promise }, clock);
    farm.ask({ type: 'files', id: '1', digests });
    farm.ask({ type: 'ask', id: '2', agent: 'x', message: '' });
    // The second question has been heard, and so has the first.
    expect(await farm.next()).toMatchObject({ type: 'failed', id: '2' });
    clock.wake();
    expect(await farm.next()).toEqual({ type: 'working', id: '1' });
    sent.resolve();
    expect(await farm.next()).toEqual({ type: 'sent', id: '1' });
  });

  it('tells why it cannot', async () => {
    await using farm = await session({
      files: () => Promise.reject(new KilnError('CONTEXT_INVALID', '"a" of the context changed while it was read')),
    });
    farm.ask({ type: 'files', id: '1', digests });
    const reason = '"a" of the context changed while it was read';
    expect(await farm.next()).toEqual({ type: 'failed', id: '1', reason });
    await using without = await session({});
    without.ask({ type: 'files', id: '1', digests });
    expect(await without.next()).toMatchObject({ type: 'failed', reason: 'this client has no files of the context' });
  });

  it('stops sending when it ends', async () => {
    const stopped = Promise.withResolvers<unknown>();
    const files = (_: readonly Digest[], signal: AbortSignal): Promise<void> =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          stopped.resolve('stopped');
          reject(new Error('stopped'));
        }),
      );
    const farm = await session({ files });
    farm.ask({ type: 'files', id: '1', digests });
    farm.ask({ type: 'ask', id: '2', agent: 'x', message: '' });
    await farm.next();
    await farm[Symbol.asyncDispose]();
    expect(await stopped.promise).toBe('stopped');
  });
});
