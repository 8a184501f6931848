import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KilnError } from '#std';
import { frameOf, isAllowedRequest, MAX_REQUEST_BYTES, messagesOf } from './agent-protocol.ts';
import { AgentSocket } from './agent-socket.ts';
import type { ClientAgent } from './session.ts';

let dir: string;
beforeEach(async () => {
  // Longer than the path of a socket may be.
  dir = await mkdtemp(join(tmpdir(), `kiln-${'agent'.repeat(24)}-`));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function opened(ask: ClientAgent['ask'], onLost: (reason: unknown) => void = () => {}): Promise<AgentSocket> {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const agent = { ready: () => Promise.resolve(), ask };
  const { signal } = new AbortController();
  return AgentSocket.open({ agent, dir: join(dir, 's'), owner, mode: 0o600, signal, onLost });
}

/** What comes back for some bytes, until the other side hangs up or has answered `answers` messages. */
async function exchange(path: string, bytes: Uint8Array, answers: number): Promise<readonly Buffer[]> {
  const descriptor = openSync(dirname(path), 'r');
  const socket = connect(`/proc/self/fd/${descriptor}/${basename(path)}`);
  socket.write(bytes);
  const got: Buffer[] = [];
  try {
    for await (const message of messagesOf(socket, 2 ** 20)) {
      got.push(message);
      if (got.length === answers) break;
    }
  } finally {
    socket.destroy();
    closeSync(descriptor);
  }
  return got;
}

describe('an agent’s socket', () => {
  it('passes listing and signing on, and refuses all else', async () => {
    const asked: number[] = [];
    await using socket = await opened((message) => {
      asked.push(message[0] ?? 0);
      return Promise.resolve(Uint8Array.of(12, 1, 2, 3));
    });
    expect((await stat(socket.path)).mode & 0o777).toBe(0o600);
    const requests = [[11], [17, 1], [13, 9, 9], [27], [11, 1]].map((bytes) => frameOf(Uint8Array.from(bytes)));
    const got = await exchange(socket.path, Buffer.concat(requests), 5);
    expect(got.map((message) => [...message])).toEqual([[12, 1, 2, 3], [5], [12, 1, 2, 3], [5], [5]]);
    expect(asked).toEqual([11, 13]);
  });

  it('hangs up on what is too long, and goes away whole', async () => {
    const socket = await opened(() => Promise.resolve(Uint8Array.of(5)));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(MAX_REQUEST_BYTES + 1);
    expect(await exchange(socket.path, length, 1)).toEqual([]);
    await socket[Symbol.asyncDispose]();
    expect(await readdir(dir)).toEqual([]);
  });

  it('tells when the client has left, and lets the step hear nothing until it is ended', async () => {
    const gone = new KilnError('STEP_FAILED', 'the client has left');
    const lost = Promise.withResolvers<unknown>();
    const socket = await opened(() => Promise.reject(gone), lost.resolve);
    let heard = false;
    const answers = exchange(socket.path, frameOf(Uint8Array.of(11)), 1).finally(() => (heard = true));
    expect(await lost.promise).toBe(gone);
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toBe(false);
    await socket[Symbol.asyncDispose]();
    expect(await answers).toEqual([]);
  });
});

it('requests', () => {
  expect(isAllowedRequest(Uint8Array.of(11))).toBe(true);
  expect(isAllowedRequest(Uint8Array.of(13, 1))).toBe(true);
  for (const type of [0, 9, 17, 18, 19, 20, 22, 23, 25, 27]) expect(isAllowedRequest(Uint8Array.of(type))).toBe(false);
  expect(isAllowedRequest(new Uint8Array())).toBe(false);
});
