import { once } from 'node:events';
import { type AddressInfo, connect, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fastify, type FastifyInstance } from 'fastify';
import { collect } from '#std';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { giveUpSilentBodies } from './silent-bodies.ts';

const SILENT_MS = 1_000;
let server: FastifyInstance;
let answerable: PromiseWithResolvers<void>;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  answerable = Promise.withResolvers();
  server = fastify();
  giveUpSilentBodies(server, SILENT_MS);
  server.post('/', async ({ body }) => {
    await answerable.promise;
    return body;
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await server.close();
  vi.useRealTimers();
});

/** Sends the pieces, each once the one before has come, with nearly as much time between them as it may be silent. */
async function sent(...pieces: readonly string[]): Promise<Socket> {
  const connected = once(server.server, 'connection');
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
  const [there] = z.tuple([z.instanceof(Socket)]).parse(await connected);
  let bytes = 0;
  for (const piece of pieces) {
    socket.write(piece);
    bytes += piece.length;
    // vi.waitFor would turn the clock.
    while (there.bytesRead < bytes) await delay(1);
    vi.advanceTimersByTime(SILENT_MS - 1);
  }
  return socket;
}
const answerOf = async (socket: Socket): Promise<string> =>
  (await collect(socket as AsyncIterable<Uint8Array>, 1 << 16)).toString();

const head = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n';

it.each([`${head}Content-Length: 20\r\n\r\n{"a":`, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":`])(
  'answers a body of which nothing more comes, and closes',
  async (begun) => {
    const socket = await sent(begun);
    vi.advanceTimersByTime(SILENT_MS);
    const answer = await answerOf(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('nothing more of the body has come');
  },
);

it('lets a slow one come to its end, and an answer take its time', async () => {
  const socket = await sent(`${head}Content-Length: 9\r\n\r\n`, ...'{"a":"b"}');
  vi.advanceTimersByTime(3 * SILENT_MS);
  answerable.resolve();
  expect(await answerOf(socket)).toMatch(/200 OK[^]*\{"a":"b"\}$/);
});
