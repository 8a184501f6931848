import type { FastifyReply, FastifyRequest } from 'fastify';
import { KilnError } from '#std';

/** Of what a client still sends after it has its answer, this much is taken, so that the answer reaches it. */
const DRAIN_BYTES = 256 * 1024 * 1024;
const DRAIN_MS = 30_000;

/** Aborted when the client is gone before it has its answer, or when `also` is. */
export function clientSignal(reply: FastifyReply, also: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new KilnError('CANCELLED', 'the client is gone'));
  });
  return AbortSignal.any([gone.signal, also]);
}

/** An end that comes of the signal is none: what is made of these is cut short, and seen to be. */
export async function* toTheEnd<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  yield* items;
  signal.throwIfAborted();
}

/** Takes the rest of a body that nobody reads any more; a connection that was closed on it would lose the answer. */
export function drain({ raw }: FastifyRequest): void {
  if (raw.readableEnded || raw.destroyed) return;
  let left = DRAIN_BYTES;
  const end = (): void => void raw.destroy();
  const timer = setTimeout(end, DRAIN_MS).unref();
  raw.on('data', (chunk: Uint8Array) => {
    left -= chunk.byteLength;
    if (left < 0) end();
  });
  raw.once('close', () => clearTimeout(timer));
  raw.resume();
}
