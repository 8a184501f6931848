import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { NumberedEvent } from '#protocol';
import { type Clock, KilnError } from '#std';
import { KilnClient } from './kiln-client.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, connection: number) => void;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

/** A farm whose every connection does what the test says, and a clock that only counts. */
async function farm(handle: Handler): Promise<{ client: KilnClient; asked: (string | undefined)[]; slept: number[] }> {
  const asked: (string | undefined)[] = [];
  const slept: number[] = [];
  const clock: Clock = { nowMs: () => 0, sleep: async (ms) => void slept.push(ms) };
  server = createServer((request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined);
    handle(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { client: new KilnClient({ baseUrl: `http://127.0.0.1:${port}`, token: 't0', clock }), asked, slept };
}

const warning = (seq: number): string => frame(seq, { type: 'warning', atMs: seq, message: `w${seq}` });
const cancelled = (seq: number): string => frame(seq, { type: 'cancelled', atMs: seq, reason: 'enough' });
const frame = (seq: number, event: object): string => `id: ${seq}\nevent: x\ndata: ${JSON.stringify(event)}\n\n`;
const open = (response: ServerResponse): void => void response.writeHead(200, { 'content-type': 'text/event-stream' });

async function numbers(events: AsyncIterable<NumberedEvent>): Promise<number[]> {
  const seen: number[] = [];
  for await (const { seq } of events) seen.push(seq);
  return seen;
}

describe('events', () => {
  it('takes a stream that breaks up where it was, and gives no event twice', async () => {
    const { client, asked, slept } = await farm((_, response, connection) => {
      open(response);
      if (connection === 1) {
        // Ends in the middle of event 3.
        response.write(`retry: 1000\n\n${warning(1)}${warning(2)}${warning(3).slice(0, 20)}`);
        setTimeout(() => response.destroy(), 20);
      } else if (connection === 2) {
        response.end(warning(2) + warning(3));
      } else {
        response.end(`: alive\n\n${warning(4)}${cancelled(5)}`);
      }
    });
    expect(await numbers(client.events('b1'))).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual([undefined, '2', '3']);
    expect(slept).toEqual([200, 200]);
    await client.close();
  });

  it('reads events in whatever pieces they come, characters cut in two included', async () => {
    const bytes = Buffer.from(frame(1, { type: 'warning', atMs: 1, message: 'é→🙂' }) + cancelled(2));
    const { client } = await farm((_, response) => {
      open(response);
      let at = 0;
      const next = (): void => {
        if (at >= bytes.length) return void response.end();
        response.write(bytes.subarray(at, ++at), next);
      };
      next();
    });
    const events: NumberedEvent[] = [];
    for await (const event of client.events('b1')) events.push(event);
    expect(events[0]?.event).toMatchObject({ message: 'é→🙂' });
    await client.close();
  });

  it('ends with the answer: the build has succeeded, though its last event is still to come', async () => {
    const result = {
      names: [],
      steps: { total: 1, hit: 0, run: 1, joined: 0 },
      bytes: { contextSent: 0, pulled: 0, pushed: 0 },
      durationMs: 1,
      savedMs: 0,
      outputs: [],
    };
    const { client } = await farm((_, response) => {
      open(response);
      response.write(warning(1) + frame(2, { type: 'delivered', atMs: 2, result }));
    });
    const events: NumberedEvent[] = [];
    for await (const event of client.events('b1')) events.push(event);
    expect(events.at(-1)).toEqual({ seq: 2, event: { type: 'succeeded', atMs: 2, result } });
    await client.close();
  });

  it('begins after a given number and asks in the name of its token', async () => {
    let authorization: string | undefined;
    const { client, asked } = await farm((request, response) => {
      authorization = request.headers.authorization;
      open(response);
      response.end(cancelled(8));
    });
    expect(await numbers(client.events('b1', { after: 7 }))).toEqual([8]);
    expect([asked, authorization]).toEqual([['7'], 'Bearer t0']);
    await client.close();
  });

  it('waits for a farm that restarts, with pauses that grow to five seconds, and gives up in the end', async () => {
    const { client, slept } = await farm((_, response) => void response.writeHead(503).end());
    await expect(numbers(client.events('b1'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(slept).toHaveLength(14);
    expect(slept.slice(0, 6)).toEqual([200, 400, 800, 1600, 3200, 5000]);
    await client.close();
  });

  it('gives up at once on what waiting cannot mend', async () => {
    const problem = {
      type: 'x',
      title: 'x',
      status: 404,
      detail: 'no build b1',
      code: 'NOT_FOUND',
      hint: 'kiln builds',
    };
    const { client, slept } = await farm((_, response) => void response.writeHead(404).end(JSON.stringify(problem)));
    await expect(numbers(client.events('b1'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no build b1',
      hint: 'kiln builds',
    });
    expect(slept).toEqual([]);
    await client.close();
  });

  it('passes over events of a newer farm, and complains of known ones that are malformed', async () => {
    const { client } = await farm((_, response, connection) => {
      open(response);
      if (connection === 1) response.end(frame(1, { type: 'teleported', atMs: 1 }) + cancelled(2));
      else response.end(frame(1, { type: 'warning', atMs: 'noon' }));
    });
    expect(await numbers(client.events('b1'))).toEqual([2]);
    await expect(numbers(client.events('b1'))).rejects.toThrow(/cannot be understood: atMs/);
    await client.close();
  });

  it('ends with the reason of its signal', async () => {
    const { client } = await farm((_, response) => {
      open(response);
      response.write(warning(1));
    });
    const controller = new AbortController();
    const reason = new KilnError('CANCELLED', 'enough');
    const reading = (async () => {
      for await (const _ of client.events('b1', { signal: controller.signal })) controller.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    await client.close();
  });
});
