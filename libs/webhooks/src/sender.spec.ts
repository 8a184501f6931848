import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { type SenderOptions, WebhookSender } from './sender.ts';
import { signatureOf } from './sign.ts';

const never = new AbortController().signal;

/** Sends to a receiver on loopback. */
async function sent(receive: RequestListener, options: Partial<SenderOptions> = {}, host = 'hooks.example') {
  await using stack = new AsyncDisposableStack();
  const server = createServer(receive).listen(0, '127.0.0.1');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sender = new WebhookSender({
    egress: { allow: [`hooks.example:${port}`] },
    clock: systemClock,
    lookup: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    ...options,
  });
  const message = { id: 'msg_1', secrets: [0, 1].map(secretOf), body: '{"a":"é"}' };
  return await sender.send({ ...message, url: `http://${host}:${port}/x?y=1` }, never);
}

const secretOf = (fill: number): string => `whsec_${Buffer.alloc(24, fill).toString('base64')}`;

describe('a try', () => {
  it('posts the body with its headers', async () => {
    let seen: unknown;
    const outcome = await sent((request, response) => {
      request.setEncoding('utf8').once('data', (body: string) => {
        const { method, url, headers } = request;
        seen = { method, url, body, type: headers['content-type'], id: headers['webhook-id'] };
        response.end('thanks');
      });
    });
    expect(seen).toEqual({ method: 'POST', url: '/x?y=1', body: '{"a":"é"}', type: 'application/json', id: 'msg_1' });
    expect(outcome).toMatchObject({ status: 200, response: 'thanks', error: null });
  });

  it('is signed by each secret, for receivers that know one of them', async () => {
    let given: readonly string[] = [];
    let time = 0;
    await sent(({ headers }, response) => {
      given = String(headers['webhook-signature']).split(' ');
      time = Number(headers['webhook-timestamp']);
      response.end();
    });
    const message = { id: 'msg_1', timestampS: time, body: '{"a":"é"}' };
    expect(given).toEqual([0, 1].map((fill) => signatureOf(secretOf(fill), message)));
  });

  it('tells for how long the receiver wants to be left alone, where it did not take it', async () => {
    const busy = (status: number) =>
      sent((_, response) => void response.writeHead(status, { 'retry-after': '120' }).end());
    expect(await busy(503)).toMatchObject({ status: 503, retryAfterMs: 120_000 });
    expect(await busy(200)).toMatchObject({ status: 200, retryAfterMs: null });
  });

  it('reads a kibibyte of an answer without end', async () => {
    const endless: RequestListener = (_, response) => {
      const more = (): void => void (response.destroyed || response.write('x'.repeat(1_000), () => setImmediate(more)));
      more();
    };
    expect(await sent(endless)).toMatchObject({ status: 200, response: 'x'.repeat(1_024), error: null });
  });

  it('ends when there is no answer in time, and believes a status whose body does not come', async () => {
    const silent = await sent(() => undefined, { timeoutMs: 50 });
    expect(silent).toMatchObject({ status: null, error: 'no answer within 0.05 s' });
    const headers: RequestListener = (_, response) => void response.writeHead(200).flushHeaders();
    expect(await sent(headers, { timeoutMs: 300 })).toMatchObject({ status: 200, error: null });
  });

  it('goes to no private address that is not allowed, whatever its name resolves to', async () => {
    let reached = false;
    const outcome = await sent(() => (reached = true), { egress: { allow: ['other.example'] } });
    expect(outcome).toMatchObject({ status: null, error: expect.stringContaining('KILN_WEBHOOK_ALLOW') as string });
    expect(outcome.error).not.toContain('127.0.0.1');
    expect(reached).toBe(false);
  });

  it('tells no more of a failure than a database holds', async () => {
    const lookup = () => Promise.reject(new Error('no \0'.repeat(1_000)));
    const { error } = await sent(() => undefined, { lookup });
    expect(error).toBe('no \uFFFD'.repeat(256));
  });

  it('tells a broken connection', async () => {
    const outcome = await sent((request) => void request.socket.destroy());
    expect(outcome).toMatchObject({ status: null, error: expect.stringMatching(/./) as string });
  });
});
