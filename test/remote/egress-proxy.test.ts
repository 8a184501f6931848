import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { EgressProxy } from '#remote';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let echo: Server;
let proxy: EgressProxy;
let port: number;
let connections = 0;
beforeAll(async () => {
  echo = createServer((socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
  echo.on('connection', () => connections++);
  await once(echo, 'listening');
  ({ port } = echo.address() as AddressInfo);
  proxy = await EgressProxy.start({
    egress: { allow: [`allowed.example:${port}`] },
    lookup: async () => [{ address: '127.0.0.1', family: 4 }],
  });
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  echo.close();
});

/** What comes back for a CONNECT, and for `ping` through what it opened. */
async function tunnel(url: string, target: string): Promise<string> {
  const { port: proxyPort, username, password } = new URL(url);
  const socket = connect({ host: '127.0.0.1', port: Number(proxyPort) });
  const authorization = Buffer.from(`${username}:${decodeURIComponent(password)}`).toString('base64');
  socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\nproxy-authorization: Basic ${authorization}\r\n\r\n`);
  let seen = '';
  socket.setEncoding('utf8').setTimeout(5_000, () => socket.destroy());
  for await (const text of socket as AsyncIterable<string>) {
    seen += text;
    if (seen.includes('ping')) break;
    if (seen.startsWith('HTTP/1.1 200')) socket.write('ping');
  }
  socket.destroy();
  return seen;
}

describe('the way out', () => {
  it('is open to what the rules allow', async () => {
    using session = proxy.open();
    expect(await tunnel(session.url, `allowed.example:${port}`)).toMatch(/^HTTP\/1\.1 200 .*ping$/s);
    expect([...session.refused]).toEqual([]);
  });

  it('is closed to private addresses, by name and by number, and tells which', async () => {
    using session = proxy.open();
    const targets = [
      `other.example:${port}`,
      `127.0.0.1:${port}`,
      '169.254.169.254:80',
      '[::1]:80',
      'allowed.example:1',
    ];
    const before = connections;
    for (const target of targets) {
      expect(await tunnel(session.url, target), target).toMatch(/^HTTP\/1\.1 403 /);
    }
    expect(connections).toBe(before);
    expect([...session.refused]).toEqual(targets);
  });

  it('is closed to whoever has no session, or one that has ended', async () => {
    const session = proxy.open();
    for (const digit of ['0', 'é']) {
      const wrong = session.url.replace(/:[0-9a-f]+@/, `:${digit.repeat(32)}@`);
      expect(await tunnel(wrong, `allowed.example:${port}`)).toMatch(/^HTTP\/1\.1 407 /);
    }
    session[Symbol.dispose]();
    expect(await tunnel(session.url, `allowed.example:${port}`)).toMatch(/^HTTP\/1\.1 407 /);
  });
});
