import { gzipSync } from 'node:zlib';
import { digestOf } from '#oci';
import { TrustStore } from '#registry';
import { type FetchedFile, FileFetcher, type FileRequest, WebClient } from '#remote';
import { collect, systemClock } from '#std';
import { MemoryContentStore, WebServer } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

let server: WebServer;
let other: WebServer;
beforeAll(async () => {
  server = await WebServer.start();
  other = await WebServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

let content: MemoryContentStore;
beforeEach(() => {
  content = new MemoryContentStore();
  server.seen.length = 0;
  server.files.clear();
});

/** expect's own matchers are of any type. */
const containing = (text: string): unknown => expect.stringContaining(text);
const aString: unknown = expect.any(String);

const signal = AbortSignal.timeout(60_000);

async function fetchFile(
  request: FileRequest,
  options: { allow?: readonly string[]; limitBytes?: number } = {},
): Promise<FetchedFile> {
  const { allow = [server.host], limitBytes = 1_000_000 } = options;
  await using web = new WebClient({
    egress: { allow },
    trust: new TrustStore([]),
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 1_000,
    lookup: async () => [{ address: '127.0.0.1', family: 4 }],
  });
  return await new FileFetcher({ web, content, clock: systemClock, limitBytes }).fetch(request, signal);
}

const failure = async (...args: Parameters<typeof fetchFile>): Promise<unknown> =>
  fetchFile(...args).catch((thrown: unknown) => thrown);

describe('a file of the web', () => {
  it('comes with its digest, and its time', async () => {
    server.files.set('/f', { body: 'text', headers: { 'last-modified': 'Sun, 13 Sep 2020 12:26:40 GMT' } });
    const { file, receivedBytes } = await fetchFile({ url: server.url('/f') });
    expect(file).toMatchObject({ digest: digestOf('text'), sizeBytes: 4, mtime: 1_600_000_000 });
    expect(receivedBytes).toBe(4);
    expect((await collect(content.get(file.digest), 100)).toString()).toBe('text');
  });

  it('is not sent again while it is the same', async () => {
    server.files.set('/f', { body: 'one' });
    const { file } = await fetchFile({ url: server.url('/f') });
    const again = await fetchFile({ url: server.url('/f'), known: file });
    expect(again).toEqual({ file, receivedBytes: 0 });
    expect(server.seen.map(({ status }) => status)).toEqual([200, 304]);
    server.files.set('/f', { body: 'two' });
    expect((await fetchFile({ url: server.url('/f'), known: file })).file.digest).toBe(digestOf('two'));
  });

  it('is not read again where a server ignores conditions', async () => {
    server.files.set('/f', (_, response) => response.writeHead(200, { etag: 'W/"x"' }).end('y'.repeat(500_000)));
    const { file } = await fetchFile({ url: server.url('/f') });
    expect(await fetchFile({ url: server.url('/f'), known: file })).toEqual({ file, receivedBytes: 0 });
  });

  it('is told by its time only where that can tell', async () => {
    const conditions: (string | undefined)[] = [];
    for (const ageMs of [0, 10_000]) {
      const lastModified = new Date(Date.now() - ageMs).toUTCString();
      server.files.set('/f', (request, response) => {
        conditions.push(request.headers['if-modified-since']);
        response.writeHead(200, { 'last-modified': lastModified }).end('text');
      });
      const { file } = await fetchFile({ url: server.url('/f') });
      await fetchFile({ url: server.url('/f'), known: file });
    }
    expect(conditions).toEqual([undefined, undefined, undefined, aString]);
  });

  it('is unpacked where the server packs it unasked', async () => {
    server.files.set('/f', { body: gzipSync('text'), headers: { 'content-encoding': 'gzip' } });
    expect((await fetchFile({ url: server.url('/f') })).file.digest).toBe(digestOf('text'));
    expect(server.seen[0]?.headers['accept-encoding']).toBe('identity');
  });

  it('has to have the checksum that is asked for', async () => {
    server.files.set('/f', { body: 'text' });
    expect((await fetchFile({ url: server.url('/f'), checksum: digestOf('text') })).file.digest).toBe(digestOf('text'));
    const wrong = await failure({ url: server.url('/f'), checksum: digestOf('other') });
    expect(wrong).toMatchObject({ code: 'STEP_FAILED' });
    expect(String(wrong)).toContain(`it is ${digestOf('text')}, and --checksum says ${digestOf('other')}`);
  });

  it('sends name and password to its own host alone, and shows them to nobody', async () => {
    other.files.set('/there', { body: 'text' });
    server.files.set('/f', { body: '', status: 302, headers: { location: other.url('/there') } });
    const url = server.url('/f').replace('//', '//me:secret@');
    await fetchFile({ url }, { allow: [server.host, other.host] });
    expect(server.seen[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
    expect(other.seen.at(-1)?.headers.authorization).toBeUndefined();
    server.files.delete('/f');
    expect(String(await failure({ url }))).not.toContain('secret');
  });

  it('says what went wrong, and what to do', async () => {
    server.files.set('/private', { body: '', status: 403 });
    expect(await failure({ url: server.url('/gone') })).toMatchObject({
      code: 'SOURCE_NOT_FOUND',
      message: `${server.url('/gone')}: the server answered 404: there is nothing`,
    });
    expect(await failure({ url: server.url('/private') })).toMatchObject({ code: 'STEP_FAILED', hint: /secret/ });
    expect(await failure({ url: 'http://127.0.0.1:1/x' }, { allow: ['127.0.0.1'] })).toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: containing('http://127.0.0.1:1/x cannot be reached'),
    });
    const tls = await failure({ url: server.url('/f').replace('http:', 'https:') });
    expect(tls).toMatchObject({ code: 'STEP_FAILED', message: containing('no TLS connection') });
    server.files.set('/slow', () => {});
    expect(await failure({ url: server.url('/slow') })).toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: containing('took too long'),
    });
  });

  it('is asked for again after a failure of the moment', async () => {
    let tries = 0;
    server.files.set('/f', (_, response) => {
      tries += 1;
      if (tries === 1) response.writeHead(503).end();
      else if (tries === 2) response.writeHead(200, { 'content-length': '100' }).write('te', () => response.destroy());
      else response.end('text');
    });
    expect((await fetchFile({ url: server.url('/f') })).file.digest).toBe(digestOf('text'));
  });
});

describe('what a file may not do', () => {
  it('be at a private address, by name, by number or by redirect', async () => {
    const metadata = 'http://169.254.169.254/latest/meta-data/';
    for (const url of [metadata, other.url('/x'), 'http://[::1]:80/', 'http://internal.example/']) {
      const refused = await failure({ url });
      expect(refused, url).toMatchObject({ code: 'STEP_FAILED', hint: containing('KILN_EGRESS_ALLOW') });
    }
    other.seen.length = 0;
    for (const location of [metadata, other.url('/x'), 'http://10.0.0.1/', 'http://0x7f000001/', 'http://localhost/']) {
      server.files.set('/f', { body: '', status: 307, headers: { location } });
      expect(await failure({ url: server.url('/f') }), location).toMatchObject({
        message: containing('loopback or private address'),
      });
    }
    expect(other.seen).toEqual([]);
  });

  it('redirect for ever, to nowhere, or away from the web', async () => {
    server.files.set('/f', { body: '', status: 302, headers: { location: '/f' } });
    expect(await failure({ url: server.url('/f') })).toMatchObject({ message: containing('circle') });
    for (const location of ['file:///etc/passwd', 'http://', 'gopher://host']) {
      server.files.set('/f', { body: '', status: 302, headers: { location } });
      expect(await failure({ url: server.url('/f') }), location).toMatchObject({ code: 'STEP_FAILED' });
    }
  });

  it('be larger than the limit, said or unsaid, packed or not', async () => {
    let sent = 0;
    server.files.set('/endless', (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
        response.once('drain', more);
      };
      more();
    });
    server.files.set('/said', { body: Buffer.alloc(2_000) });
    server.files.set('/bomb', { body: gzipSync(Buffer.alloc(10_000_000)), headers: { 'content-encoding': 'gzip' } });
    for (const path of ['/endless', '/said', '/bomb']) {
      expect(await failure({ url: server.url(path) }, { limitBytes: 1_000 }), path).toMatchObject({
        code: 'LIMIT_EXCEEDED',
        hint: containing('KILN_FETCH_MAX_BYTES'),
      });
    }
    expect(sent).toBeLessThan(50_000_000);
  });
});
