import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import { type BuildView, StoredRequest } from '#protocol';
import { type Bytes, type Clock, collect, KilnError, single, VERSION_HEADER } from '#std';
import { KilnClient, type SubmittedContexts } from './kiln-client.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

/** What happens while the client waits. */
const pauses: (() => Promise<void>)[] = [];
const clock: Clock = { nowMs: () => 0, sleep: async () => void (await pauses.shift()?.()) };

async function clientOf(handle: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<KilnClient> {
  server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return new KilnClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, clock });
}

const view: BuildView = {
  id: 'b1',
  url: 'http://farm/v1/builds/b1',
  project: 'p',
  scope: 'main',
  state: 'queued',
  attempt: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
  startedAt: null,
  finishedAt: null,
  request: StoredRequest.parse({}),
  context: { digest: `sha256:${'0'.repeat(64)}` as BuildView['context']['digest'], files: 1, sizeBytes: 1 },
  result: null,
  failure: null,
};
const accept = (response: ServerResponse): void =>
  void response.writeHead(202, { [VERSION_HEADER]: '1.0.0' }).end(JSON.stringify(view));
const reject = (response: ServerResponse, status: number, problem: object): void =>
  void response.writeHead(status).end(JSON.stringify({ type: 'about:blank', title: 'x', status, ...problem }));

const main = (open: () => Bytes): SubmittedContexts => ({ archives: [{ name: 'context', open }] });

describe('submitBuild', () => {
  it('sends the request as JSON first, then the context as it is read', async () => {
    let body = '';
    let headers: IncomingMessage['headers'] = {};
    const client = await clientOf(async (request, response) => {
      headers = request.headers;
      body = (await collect(request, 1 << 20)).toString();
      accept(response);
    });
    const sent: number[] = [];
    const context = async function* (): Bytes {
      yield Buffer.from('first');
      yield Buffer.from('second');
    };
    const build = await client.submitBuild({ tags: ['a/b:c'] }, main(context), {
      idempotencyKey: 'k1',
      onSent: (bytes) => sent.push(bytes),
    });
    expect(build.id).toBe('b1');
    expect(headers['idempotency-key']).toBe('k1');
    const boundary = /^multipart\/form-data; boundary=(.+)$/.exec(headers['content-type'] ?? '')?.[1] ?? '';
    expect(body.split('\r\n')).toEqual([
      `--${boundary}`,
      'content-disposition: form-data; name="request"',
      'content-type: application/json',
      '',
      '{"tags":["a/b:c"]}',
      `--${boundary}`,
      'content-disposition: form-data; name="context"; filename="context.tar"',
      'content-type: application/x-tar',
      '',
      'firstsecond',
      `--${boundary}--`,
      '',
    ]);
    expect(sent).toEqual([5, 11]);
    await client.close();
  });

  it('opens the context anew when the connection breaks, under the same key', async () => {
    const keys: unknown[] = [];
    let body = '';
    const client = await clientOf(async (request, response) => {
      keys.push(request.headers['idempotency-key']);
      if (keys.length === 1) return void request.once('data', () => request.socket.destroy());
      body = (await collect(request, 1 << 24)).toString();
      accept(response);
    });
    const context = async function* (): Bytes {
      for (let i = 0; i < 64; i++) yield Buffer.alloc(65_536, 'x');
    };
    await client.submitBuild({}, main(context), { idempotencyKey: 'k2' });
    expect(keys).toEqual(['k2', 'k2']);
    expect(body.split('x').length - 1).toBeGreaterThanOrEqual(64 * 65_536);
    await client.close();
  });

  it('reads no further ahead of a slow farm than its buffers hold', async () => {
    const client = await clientOf(() => {
      // Takes nothing.
    });
    const chunk = Buffer.alloc(1 << 20);
    let taken = 0;
    let freed = false;
    const context = async function* (): Bytes {
      try {
        for (;;) {
          taken += 1;
          yield chunk;
        }
      } finally {
        freed = true;
      }
    };
    const controller = new AbortController();
    const sending = client.submitBuild({}, main(context), { idempotencyKey: 'k3', signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 300);
    await expect(sending).rejects.toThrow('enough');
    expect(taken).toBeLessThan(64);
    await expect.poll(() => freed).toBe(true);
    await client.close();
  });

  it('tells the farm’s own reason when it answers before it has read the context', async () => {
    const client = await clientOf((request, response) => {
      request.once('data', () => {
        reject(response, 413, {
          code: 'LIMIT_EXCEEDED',
          detail: 'the context is too large',
          hint: 'use .dockerignore',
        });
        request.resume();
      });
    });
    const context = async function* (): Bytes {
      for (let i = 0; i < 200; i++) yield Buffer.alloc(65_536);
    };
    await expect(client.submitBuild({}, main(context), { idempotencyKey: 'k4' })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: 'the context is too large',
      hint: 'use .dockerignore',
    });
    await client.close();
  });

  it('ends with the context’s own failure, without a second attempt', async () => {
    const client = await clientOf((request) => void request.resume());
    let opened = 0;
    const failure = new KilnError('CONTEXT_INVALID', 'a file changed');
    const context = async function* (): Bytes {
      opened += 1;
      yield Buffer.from('x');
      throw failure;
    };
    await expect(client.submitBuild({}, main(context), { idempotencyKey: 'k5' })).rejects.toBe(failure);
    expect(opened).toBe(1);
    await client.close();
  });

  it('names contexts that were sent before, and needs no archive then', async () => {
    let body = '';
    const client = await clientOf(async (request, response) => {
      body = (await collect(request, 1 << 20)).toString();
      accept(response);
    });
    const references = { context: { digest: digestOf('manifest'), sentBytes: 7 } };
    await client.submitBuild({}, { references }, { idempotencyKey: 'k7' });
    expect(body.split('\r\n')).toEqual([
      '--kiln-k7',
      'content-disposition: form-data; name="request"',
      'content-type: application/json',
      '',
      '{}',
      '--kiln-k7',
      'content-disposition: form-data; name="contexts"',
      'content-type: application/json',
      '',
      JSON.stringify(references),
      '--kiln-k7--',
      '',
    ]);
    await client.close();
  });

  it('waits for a farm that was there and starts anew, but not for ever', async () => {
    const client = await clientOf((_, response) => accept(response));
    const { port } = server?.address() as AddressInfo;
    const submit = (): Promise<BuildView> => client.submitBuild({}, {}, { idempotencyKey: 'k8' });
    await submit();
    const down = async (): Promise<void> => {
      const closed = new Promise((resolve) => server?.close(resolve));
      server?.closeAllConnections();
      await closed;
    };
    await down();
    await expect(submit()).rejects.toMatchObject({ code: 'FARM_UNREACHABLE' });
    pauses.push(async () => {
      server = createServer((_, response) => accept(response));
      await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
    });
    expect((await submit()).id).toBe('b1');
    expect(pauses).toEqual([]);
    await client.close();
  });

  it('says at once that nobody answers, and what to do', async () => {
    const gone = await clientOf(() => {});
    server?.close();
    let opened = 0;
    const context = (): Bytes => {
      opened += 1;
      return single('x');
    };
    await expect(gone.submitBuild({}, main(context), { idempotencyKey: 'k6' })).rejects.toMatchObject({
      code: 'FARM_UNREACHABLE',
      message: expect.stringMatching(
        /^cannot reach the farm at http:\/\/127\.0\.0\.1:\d+ \(connection refused\)$/,
      ) as string,
      hint: 'check KILN_URL, or run without it to use an embedded farm',
    });
    expect(opened).toBe(1);
    await gone.close();
  });
});

describe('answers', () => {
  it('keep code, field and hint of a problem document', async () => {
    const client = await clientOf((_, response) =>
      reject(response, 400, {
        code: 'INVALID_ARGUMENT',
        detail: 'not an image name',
        field: 'tags[0]',
        hint: 'lower case',
      }),
    );
    await expect(client.cancel('b1')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      field: 'tags[0]',
      hint: 'lower case',
    });
    await client.close();
  });

  it('go by their status where a proxy answers for the farm', async () => {
    const client = await clientOf((_, response) => void response.writeHead(401).end('<html>'));
    await expect(client.build('b1')).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      hint: 'set KILN_TOKEN to a token of this farm',
    });
    await client.close();
  });

  it('are asked for again while the farm is away for a moment', async () => {
    let asked = 0;
    const client = await clientOf((_, response) => {
      asked += 1;
      if (asked < 3) response.writeHead(503).end();
      else response.end(JSON.stringify(view));
    });
    expect((await client.build('b1')).id).toBe('b1');
    expect(asked).toBe(3);
    await client.close();
  });

  it('that are not the API’s are named as such', async () => {
    const client = await clientOf((_, response) => void response.end('{"id":7}'));
    await expect(client.build('b1')).rejects.toMatchObject({
      code: 'INTERNAL',
      hint: expect.stringContaining('KILN_URL') as string,
    });
    await client.close();
  });
});

describe('output', () => {
  const bytes = Buffer.from('an image');
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const expected = { digest, sizeBytes: bytes.length };

  it('gives the bytes that the result promised', async () => {
    const client = await clientOf(
      (request, response) => void response.end(request.url === '/v1/builds/b1/outputs/0' ? bytes : ''),
    );
    expect((await collect(client.output('b1', 0, expected), 100)).toString()).toBe('an image');
    await client.close();
  });

  it.each([
    ['too few', bytes.subarray(1)],
    ['too many', Buffer.concat([bytes, bytes])],
    ['other', Buffer.from('no image')],
  ])('ends with an error where they are %s', async (_, wrong) => {
    const client = await clientOf((_request, response) => void response.end(wrong));
    await expect(collect(client.output('b1', 0, expected), 100)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    await client.close();
  });

  it('that breaks off is no output', async () => {
    const client = await clientOf((_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 3));
      setTimeout(() => response.destroy(), 20);
    });
    await expect(collect(client.output('b1', 0, expected), 100)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await client.close();
  });
});
