import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ContentStore, openContentStore, parseStoreLocation } from '#content';
import { type Digest, digestOf, Hasher } from '#oci';
import { type Bytes, collect, KilnError, single, systemClock, systemRandom } from '#std';
import { FaultProxy, type ProxiedRequest, S3Server, s3Credentials } from '#testing';
import { contentStoreContract } from '../../libs/content/src/content.contract.ts';

const MIB = 1024 * 1024;
const PART_BYTES = 5 * MIB;

let server: S3Server;
let proxy: FaultProxy;
beforeAll(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = s3Credentials.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = s3Credentials.secretAccessKey;
  server = await S3Server.start();
  proxy = await FaultProxy.start(server.url);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  proxy.heal();
  proxy.requests.length = 0;
});

let made = 0;
const freshPrefix = (): string => `p${++made}/`;

const locationOf = (prefix: string, bucket = 'blobs') =>
  parseStoreLocation(`s3://${bucket}/${prefix}?endpoint=${proxy.url}&pathStyle=true`);

/** A store of its own in the bucket; its parts are small, so that a few megabytes are many, and it does not wait long. */
const open = ({ prefix = freshPrefix(), copyLimitBytes = 5 * 1024 * MIB } = {}): Promise<ContentStore> =>
  openContentStore(locationOf(prefix), {
    random: systemRandom,
    clock: systemClock,
    tuning: { partBytes: PART_BYTES, copyLimitBytes, attempts: 1 },
  });

async function* bytes(size: number, seed = 0): Bytes {
  for (let at = 0; at < size; at += 65_536) yield Buffer.alloc(Math.min(65_536, size - at), `${seed} ${at} `);
}

async function digestOfAll(source: Bytes): Promise<Digest> {
  const hasher = new Hasher();
  for await (const chunk of source) hasher.update(chunk);
  return hasher.digest();
}

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const all = (source: Bytes): Promise<Buffer> => collect(source, 1024 * MIB);
const objectsUnder = async (prefix: string): Promise<readonly string[]> => {
  const names = await readdir(join(server.dir, 'blobs', prefix), { recursive: true }).catch(() => []);
  return names.filter((name) => name.endsWith('_object'));
};
const isGet = ({ method, path }: ProxiedRequest): boolean => method === 'GET' && path.includes('/sha256/');
const is =
  (method: string, text: string) =>
  ({ method: asked, path }: ProxiedRequest): boolean =>
    asked === method && path.includes(text);

contentStoreContract('S3ContentStore', async () => {
  const prefix = freshPrefix();
  return {
    store: await open({ prefix }),
    damage: async (digest) => {
      const path = join(server.dir, 'blobs', prefix, 'sha256', digest.slice(7, 9), `${digest.slice(7)}._S3rver_object`);
      const damaged = await readFile(path);
      damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 1;
      await writeFile(path, damaged);
    },
  };
});

describe('a large blob in S3', () => {
  it.each([
    ['known by its digest: under its own name at once', true, undefined],
    ['not known: staged, and copied by the server', false, undefined],
    ['larger than one copy may be: copied by ranges', false, 6 * MIB],
  ])('%s', async (_, known, copyLimitBytes) => {
    const prefix = freshPrefix();
    const store = await open({ prefix, ...(copyLimitBytes === undefined ? {} : { copyLimitBytes }) });
    const size = 17 * MIB + 13;
    const digest = await digestOfAll(bytes(size));
    if (copyLimitBytes !== undefined) answerRangeCopies(digest);
    const put = store.put(bytes(size), known ? digest : undefined);
    if (copyLimitBytes !== undefined) {
      // This server cannot copy ranges: that they are asked for, all and once, has to do.
      await put;
      const ranges = proxy.requests.flatMap(({ headers }) => headers['x-amz-copy-source-range'] ?? []);
      expect(ranges).toEqual([
        `bytes=0-${6 * MIB - 1}`,
        `bytes=${6 * MIB}-${12 * MIB - 1}`,
        `bytes=${12 * MIB}-${size - 1}`,
      ]);
      return;
    }
    expect(await put).toEqual({ digest, sizeBytes: size });
    expect(proxy.requests.filter(is('PUT', 'partNumber='))).toHaveLength(4);
    expect(proxy.requests.filter(is('PUT', '/uploads/'))).toHaveLength(known ? 0 : 4);
    expect(await digestOfAll(store.get(digest))).toBe(digest);
    expect((await objectsUnder(prefix)).map((name) => name.split('/')[0])).toEqual(['sha256']);
  });

  function answerRangeCopies(digest: Digest): void {
    const key = digest.slice(7);
    const xml = (body: string): string => `<?xml version="1.0" encoding="UTF-8"?>${body}`;
    proxy.next(1, is('POST', `${key}?uploads`), {
      kind: 'answer',
      status: 200,
      body: xml('<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>'),
    });
    proxy.next(3, (request) => request.headers['x-amz-copy-source-range'] !== undefined, {
      kind: 'answer',
      status: 200,
      body: xml('<CopyPartResult><ETag>"e"</ETag></CopyPartResult>'),
    });
    proxy.next(1, is('POST', `${key}?uploadId=u1`), {
      kind: 'answer',
      status: 200,
      body: xml('<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'),
    });
  }

  it('is not sent again when it is there', async () => {
    const store = await open();
    const digest = await digestOfAll(bytes(6 * MIB));
    await store.put(bytes(6 * MIB), digest);
    proxy.requests.length = 0;
    await store.put(bytes(6 * MIB), digest);
    expect(proxy.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });

  it('is in memory a few parts at a time', async () => {
    const store = await open();
    let inFlight = 0;
    let most = 0;
    let yielded = 0;
    const slow = async function* (): Bytes {
      for (let index = 0; index < 24; index++) {
        yielded++;
        const sent = proxy.requests.filter(is('PUT', 'partNumber=')).length;
        inFlight = yielded - sent;
        most = Math.max(most, inFlight);
        yield Buffer.alloc(PART_BYTES, String(index));
      }
    };
    await store.put(slow());
    expect(most).toBeLessThanOrEqual(5);
  });

  it.each([
    ['its source fails', undefined, 'the client went away'],
    ['the digest is another one', digestOf('other'), 'BLOB_CORRUPT'],
    ['a part is refused', undefined, 'UPSTREAM_UNAVAILABLE'],
  ])('leaves nothing when %s', async (what, expected, why) => {
    const prefix = freshPrefix();
    const store = await open({ prefix });
    const source = async function* (): Bytes {
      yield* bytes(12 * MIB);
      if (what === 'its source fails') throw new Error('the client went away');
    };
    if (what === 'a part is refused') proxy.next(99, is('PUT', 'partNumber=2'), slowDown);
    const thrown: unknown = await store.put(source(), expected).catch((error: unknown) => error);
    expect(thrown instanceof KilnError ? thrown.code : String(thrown)).toContain(why);
    expect(proxy.requests.filter(is('DELETE', 'uploadId='))).toHaveLength(1);
    expect(proxy.requests.filter(is('POST', 'uploadId='))).toEqual([]);
    expect(await objectsUnder(prefix)).toEqual([]);
  });
});

const slowDown = {
  kind: 'answer',
  status: 503,
  body: '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
} as const;

describe('S3 on a bad day', () => {
  it('a transfer that breaks is continued where it broke', async () => {
    const store = await open();
    const size = 9 * MIB;
    const { digest } = await store.put(bytes(size));
    proxy.next(1, isGet, { kind: 'cut', afterBytes: 3 * MIB });
    proxy.next(1, isGet, { kind: 'reset' });
    proxy.next(1, isGet, { kind: 'cut', afterBytes: 2 * MIB + 17 });
    proxy.requests.length = 0;
    expect(await digestOfAll(store.get(digest))).toBe(digest);
    const ranges = proxy.requests.filter(isGet).map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=\d+-$/.test(range ?? ''))).toBe(true);
    expect(ranges.length).toBeGreaterThanOrEqual(3);
  });

  it('one that breaks again and again is a failure, never a short blob', async () => {
    const store = await open();
    const { digest } = await store.put(bytes(2 * MIB));
    proxy.next(1, isGet, { kind: 'cut', afterBytes: MIB });
    proxy.next(99, isGet, { kind: 'cut', afterBytes: 0 });
    await expect(all(store.get(digest))).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    proxy.heal();
    expect(await digestOfAll(store.get(digest))).toBe(digest);
  });

  it('bytes that changed on the way are BLOB_CORRUPT', async () => {
    const store = await open();
    const { digest } = await store.put(bytes(MIB));
    proxy.next(1, isGet, { kind: 'garble' });
    await expect(all(store.get(digest))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  });

  it('being asked to slow down is borne, up to a point', async () => {
    const store = await open();
    proxy.next(3, () => true, slowDown);
    const { digest } = await store.put(single('slowly'));
    proxy.next(2, isGet, slowDown);
    expect(String(await all(store.get(digest)))).toBe('slowly');
    proxy.next(999, () => true, slowDown);
    await expect(store.findMissing(new Set([digest]))).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: matching(/503/),
      hint: matching(/KILN_OBJECT_STORE/),
    });
  });

  it('a server that is away is said to be', async () => {
    const location = parseStoreLocation('s3://blobs?endpoint=http://127.0.0.1:1&pathStyle=true');
    const store = await openContentStore(location, {
      random: systemRandom,
      clock: systemClock,
      tuning: { attempts: 1 },
    });
    await expect(store.findMissing(new Set([digestOf('x')]))).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: matching(/cannot be reached.*ECONNREFUSED/),
    });
  });

  it('a bucket that is not there is no missing blob', async () => {
    const location = locationOf('', 'nothere');
    const store = await openContentStore(location, {
      random: systemRandom,
      clock: systemClock,
      tuning: { attempts: 1 },
    });
    const refused = { code: 'UPSTREAM_UNAVAILABLE', hint: matching(/bucket/) };
    await expect(store.put(single('x'))).rejects.toMatchObject(refused);
    await expect(all(store.get(digestOf('x')))).rejects.toMatchObject(refused);
  }, 60_000);

  it('wrong credentials are named', async () => {
    process.env['AWS_ACCESS_KEY_ID'] = 'wrong';
    const store = await open();
    try {
      const hint = matching(/AWS_ACCESS_KEY_ID/);
      await expect(store.put(single('x'))).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', hint });
    } finally {
      process.env['AWS_ACCESS_KEY_ID'] = s3Credentials.accessKeyId;
    }
  });

  it('a reader that leaves, or is told to, leaves no transfer behind', async () => {
    const store = await open();
    const { digest } = await store.put(bytes(40 * MIB));
    for await (const chunk of store.get(digest)) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    const abort = new AbortController();
    proxy.next(1, isGet, { kind: 'silence' });
    const reading = all(store.get(digest, abort.signal));
    setTimeout(() => abort.abort(new Error('cancelled')), 50);
    await expect(reading).rejects.toThrow('cancelled');
    expect(await digestOfAll(store.get(digest))).toBe(digest);
  });

  it('removes more than one request can, and says what could not be removed', async () => {
    const store = await open();
    const digests = new Set(Array.from({ length: 1_500 }, (_, index) => digestOf(`${index}`)));
    await store.remove(digests);
    expect(proxy.requests.filter(is('POST', '?delete'))).toHaveLength(2);
    proxy.next(1, is('POST', '?delete'), {
      kind: 'answer',
      status: 200,
      body: '<?xml version="1.0"?><DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>',
    });
    await expect(store.remove(new Set([digestOf('x')]))).rejects.toMatchObject({
      message: matching(/k: no/),
    });
  });

  it('lists by pages', async () => {
    const store = await open();
    const put = new Set<Digest>();
    for (let index = 0; index < 30; index++) put.add((await store.put(single(`${index}`))).digest);
    const listed = new Set<Digest>();
    for await (const { digest } of store.list()) listed.add(digest);
    expect(listed).toEqual(put);
  });
});

describe('what writers that died left in S3', () => {
  it('is swept once it is old', async () => {
    const prefix = freshPrefix();
    const store = await open({ prefix });
    proxy.next(99, is('POST', '?delete'), slowDown);
    // The blob is there, whatever became of its staged copy.
    const { digest } = await store.put(bytes(6 * MIB));
    proxy.heal();
    expect(await store.findMissing(new Set([digest]))).toEqual(new Set());
    const [staged = ''] = (await objectsUnder(prefix)).filter((name) => name.startsWith('uploads'));
    const { mtimeMs } = await stat(join(server.dir, 'blobs', prefix, staged));
    const uploads = (...items: readonly string[]): string =>
      `<?xml version="1.0"?><ListMultipartUploadsResult>${items.join('')}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`;
    const upload = (id: string, atMs: number): string =>
      `<Upload><Key>${prefix}x</Key><UploadId>${id}</UploadId><Initiated>${new Date(atMs).toISOString()}</Initiated></Upload>`;
    const sweep = async (nowMs: number): Promise<number> => {
      proxy.next(1, ({ method, path }) => method === 'GET' && /[?&]uploads(?:[&=]|$)/.test(path), {
        kind: 'answer',
        status: 200,
        body: uploads(upload('old', mtimeMs), upload('new', mtimeMs + 3_000_000)),
      });
      proxy.next(1, is('DELETE', 'uploadId=old'), { kind: 'answer', status: 204, body: '' });
      return await store.sweepTemporary(nowMs - 3_600_000);
    };
    expect(await sweep(mtimeMs + 1_000)).toBe(0);
    proxy.heal();
    expect(await sweep(mtimeMs + 3_700_000)).toBe(2);
    expect((await objectsUnder(prefix)).filter((name) => name.startsWith('uploads'))).toEqual([]);
    expect(proxy.requests.filter(is('DELETE', 'uploadId=new'))).toEqual([]);
  });
});
