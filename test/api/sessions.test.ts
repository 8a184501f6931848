import { WebSocket } from 'undici';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { claimed, type Farm, rawAnswer, startFarm, submitted, succeeded, tokenIn } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

/** Status and code of what an upgrade is answered with. */
async function refused(id: string, token: string): Promise<readonly [number, unknown]> {
  const lines = [
    `GET /v1/builds/${id}/session HTTP/1.1`,
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
    ...(token === '' ? [] : [`Authorization: Bearer ${token}`]),
  ];
  const [head = '', body = '{}'] = (await rawAnswer(farm, [...lines, '', ''].join('\r\n'))).split('\r\n\r\n');
  expect(head).toContain('content-type: application/problem+json');
  return [Number(head.split(' ')[1]), (JSON.parse(body) as { code: unknown }).code];
}

async function opened(id: string): Promise<WebSocket> {
  const socket = new WebSocket(`${farm.url.replace('http', 'ws')}/v1/builds/${id}/session`, {
    headers: { authorization: `Bearer ${farm.tokens.mine}` },
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('refused')));
  });
  return socket;
}

const ended = (socket: WebSocket): Promise<number> =>
  new Promise((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));

describe('a session', () => {
  it('is for who may build, of a build of the project that has not ended', async () => {
    const id = await submitted(farm);
    const { mine, other, reader } = farm.tokens;
    expect(await refused(id, '')).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refused(id, 'kiln_nope')).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refused(id, reader)).toEqual([403, 'PERMISSION_DENIED']);
    expect(await refused(id, other)).toEqual([404, 'NOT_FOUND']);
    expect(await refused(id, await tokenIn(farm, 'pr', 'fork'))).toEqual([403, 'PERMISSION_DENIED']);
    expect(await refused('nothing', mine)).toEqual([404, 'NOT_FOUND']);
    expect(await refused('a%00b', mine)).toEqual([404, 'NOT_FOUND']);
    await succeeded(farm, await claimed(farm, id));
    expect(await refused(id, mine)).toEqual([409, 'CONFLICT']);
  });

  it('is one of four at most, and free again when it is left', async () => {
    const id = await submitted(farm);
    const sockets = await Promise.all([opened(id), opened(id), opened(id), opened(id)]);
    expect(await refused(id, farm.tokens.mine)).toEqual([413, 'LIMIT_EXCEEDED']);
    sockets.pop()?.close();
    await vi.waitFor(async () => sockets.push(await opened(id)), { timeout: 5_000 });
    for (const socket of sockets) socket.close();
  });

  it('ends with its build, or with a client that talks of something else', async () => {
    const id = await submitted(farm);
    const odd = await opened(id);
    const closed = ended(odd);
    odd.send('{"type":"hello"}');
    expect(await closed).toBe(1008);
    const waiting = ended(await opened(id));
    await succeeded(farm, await claimed(farm, id));
    expect(await waiting).toBe(1000);
  });
});
