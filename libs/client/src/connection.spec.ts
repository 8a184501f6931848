import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect, type AddressInfo, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, isKilnError, VERSION_HEADER } from '#std';
import { z } from 'zod';
import { Connection, type ConnectionOptions } from './connection.ts';

const servers: TcpServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
const clock: Clock = { nowMs: () => 0, sleep: async () => {} };

async function listening(server: TcpServer): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** What a request to a farm like this comes to. */
async function failure(options: ConnectionOptions, path = '/v1/x'): Promise<unknown> {
  const connection = new Connection({ clock, ...options });
  try {
    return await connection.json(z.object({ id: z.string() }), { path });
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    const { code, message, hint } = thrown;
    return { code, message, hint };
  } finally {
    await connection.close();
  }
}

const farm = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listening(createServer(listener))}`;

describe('a farm that is not there', () => {
  it('is one that redirects, and hears no token from us elsewhere', async () => {
    const asked: string[] = [];
    const elsewhere = await farm((request, response) => {
      asked.push(request.url ?? '');
      response.end('{"id":"x"}');
    });
    const baseUrl = await farm((_, response) => void response.writeHead(302, { location: `${elsewhere}/login` }).end());
    expect(await failure({ baseUrl, token: 'secret' })).toMatchObject({
      code: 'FARM_UNREACHABLE',
      message: `${baseUrl} is no farm: it redirects to ${elsewhere}`,
    });
    expect(asked).toEqual([]);
  });

  it('is one that speaks no TLS', async () => {
    const baseUrl = (await farm((_, response) => void response.end())).replace('http', 'https');
    expect(await failure({ baseUrl, unreachableHint: 'do this' })).toEqual({
      code: 'FARM_UNREACHABLE',
      message: `cannot reach the farm at ${baseUrl} (it does not speak TLS; write http:// if that is meant)`,
      hint: 'do this',
    });
  });
});

describe('a farm of another version', () => {
  const versions = /^the farm is Kiln 99\.0\.0 and this is Kiln \d+\.\d+\.\d+: use the same version$/m;

  it.each([
    [400, { code: 'INVALID_ARGUMENT', detail: 'unknown key', hint: 'leave it out' }],
    [404, { code: 'NOT_FOUND', detail: 'there is no such path' }],
    [200, { id: 7 }],
  ])('says so where we do not understand each other: %j', async (status, body) => {
    const baseUrl = await farm((_, response) => {
      response.writeHead(status, { [VERSION_HEADER]: '99.0.0' });
      response.end(JSON.stringify({ type: 'about:blank', title: 'x', status, ...body }));
    });
    const expected = { hint: expect.stringMatching(versions) as string };
    expect(await failure({ baseUrl })).toMatchObject(expected);
  });

  it('says nothing of it where we do', async () => {
    const baseUrl = await farm((_, response) => {
      response.writeHead(403, { [VERSION_HEADER]: '99.0.0' });
      response.end(
        JSON.stringify({ type: 'about:blank', title: 'x', status: 403, code: 'PERMISSION_DENIED', detail: 'no' }),
      );
    });
    expect(await failure({ baseUrl })).toMatchObject({ hint: 'use a token that may do this' });
  });
});

describe('what answers in the place of a farm', () => {
  const page = (status: number) => farm((_, response) => void response.writeHead(status).end('<html>hello</html>'));

  it.each([
    [200, 'its answer is no JSON'],
    [404, 'it answers 404'],
    [500, 'it answers 500'],
  ])('is told to be none, at once: %i', async (status, why) => {
    const baseUrl = await page(status);
    expect(await failure({ baseUrl, unreachableHint: 'do this' })).toEqual({
      code: 'FARM_UNREACHABLE',
      message: `what answers at ${baseUrl} is no farm: ${why}`,
      hint: 'do this',
    });
  });

  it.each([
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [502, 'UNAVAILABLE'],
  ])('may be what stands before it, and says so itself: %i', async (status, code) => {
    expect(await failure({ baseUrl: await page(status) })).toMatchObject({ code });
  });
});

describe('a token that the farm does not know', () => {
  it('is answered with how to get one', async () => {
    const baseUrl = await farm((_, response) => {
      const problem = {
        type: 'about:blank',
        title: 'x',
        status: 401,
        code: 'UNAUTHENTICATED',
        detail: 'no',
        hint: 'a',
      };
      response.writeHead(401).end(JSON.stringify(problem));
    });
    expect(await failure({ baseUrl, unauthenticatedHint: 'log in' })).toMatchObject({ message: 'no', hint: 'log in' });
    expect(await failure({ baseUrl })).toMatchObject({ hint: 'a' });
  });
});

describe('a proxy', () => {
  async function proxied(status: number) {
    const real = new URL(await farm((_, response) => void response.end('{"id":"x"}'))).port;
    const asked: string[] = [];
    const server = createServer((_, response) => void response.writeHead(500).end());
    server.on('connect', ({ url = '' }, socket) => {
      asked.push(url);
      if (status !== 200) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      const far = connect(Number(real), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connected\r\n\r\n');
        far.pipe(socket).pipe(far);
      });
      far.on('error', () => socket.destroy());
      socket.on('error', () => far.destroy());
    });
    const port = await listening(server);
    const http = `http://ada:secret@127.0.0.1:${port}`;
    return { asked, port, proxy: { http, https: '', none: 'direct.invalid' }, real };
  }

  it('leads to farms elsewhere, and not to one of this machine', async () => {
    const { asked, proxy, real } = await proxied(200);
    expect(await failure({ baseUrl: 'http://farm.invalid', proxy })).toEqual({ id: 'x' });
    expect(asked).toEqual(['farm.invalid:80']);
    expect(await failure({ baseUrl: `http://127.0.0.1:${real}`, proxy })).toEqual({ id: 'x' });
    expect(asked).toHaveLength(1);
  });

  it('is named when it refuses, without its password', async () => {
    const { proxy, port } = await proxied(407);
    expect(await failure({ baseUrl: 'https://farm.invalid', proxy })).toMatchObject({
      code: 'FARM_UNREACHABLE',
      message: `cannot reach the farm at https://farm.invalid through the proxy http://127.0.0.1:${port} (the proxy answered 407)`,
    });
  });

  it('that is no URL is refused', () => {
    const proxy = { http: 'secret host', https: '', none: '' };
    expect(() => new Connection({ baseUrl: 'http://farm.invalid', proxy })).toThrow(/^the proxy of .* is no URL$/);
  });
});
