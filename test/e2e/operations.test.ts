import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '#oci';
import { FolderContentStore } from '#content';
import { single, systemRandom } from '#std';
import { Collector, type Database } from '#storage';
import { S3Server, s3Credentials } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runAdmin, startAdmin } from '../storage/admin-program.ts';
import { write } from './context.ts';
import { Farm, type RunningCli } from './farm.ts';

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

const Report = z.object({
  blobs: z.int(),
  readBytes: z.int(),
  found: z.int(),
  mended: z.int(),
  counts: z.record(z.string(), z.int()),
  findings: z.array(z.object({ kind: z.string(), message: z.string(), digest: z.string().optional() })),
});

async function fsck(...args: readonly string[]) {
  const { code, stdout, stderr } = await runAdmin(['fsck', '--json', ...args], farm.env);
  if (stdout === '') throw new Error(`fsck exited with ${code}: ${stderr}`);
  return { code, report: Report.parse(JSON.parse(stdout)) };
}

/** That nothing is wrong; else it is shown. */
async function expectWell(...args: readonly string[]): Promise<void> {
  const { code, report } = await fsck(...args);
  expect(report.findings).toEqual([]);
  expect(code).toBe(0);
}

const pathOf = (digest: string): string => {
  const hex = digest.slice('sha256:'.length);
  return join(farm.dir, 'content/sha256', hex.slice(0, 2), hex);
};

async function flip(digest: string): Promise<void> {
  const bytes = await readFile(pathOf(digest));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await writeFile(pathOf(digest), bytes);
}

const Row = z.object({ digest: z.string() });
const digestsOf = async (text: string): Promise<readonly string[]> =>
  (await farm.db.query(Row, text)).map(({ digest }) => digest);

/** Of the results, the last layer of each, the oldest first. */
const layers = () => digestsOf("SELECT layers->-1->'descriptor'->>'digest' AS digest FROM results ORDER BY version");

const dockerfile = `FROM box:1
COPY file /
RUN cat /file > /made
RUN --mount=type=cache,target=/cache echo cached > /cache/file && cat /made > /again
RUN seq 1 200000
`;
/** Of a context, which nothing but a grant refers to. */
const cameBack = digestOf('a file\n');
let dir: string;
let image: string | undefined;

const output = 'type=image,rewrite-timestamp=true';
const imageFlags = ['-t', 'acme/app:1', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--output', output];

/** An image whose digest does not tell when its steps ran. */
async function build(): Promise<string | undefined> {
  return (await farm.build(dir, ...imageFlags))['containerimage.digest'];
}

describe('a farm that is well', () => {
  it('is told to be', async () => {
    dir = await farm.folder();
    await write(dir, { Dockerfile: dockerfile, file: 'a file\n' });
    image = await build();
    await expectWell();
    await expectWell('--deep');
    const { code, stdout } = await farm.cli(['admin', 'fsck'], { env: farm.env }).ended;
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d+ blobs: all is well\n$/)]);
  });
});

interface Harm {
  readonly name: string;
  readonly kind: string;
  /** what one of the findings says, where others are of the same kind */
  readonly says?: string;
  readonly harm: () => Promise<unknown>;
}

const blobHarms: readonly Harm[] = [
  {
    name: 'a layer that is gone',
    kind: 'missing',
    harm: async () => rm(pathOf((await layers())[1] ?? '')),
  },
  {
    name: 'a layer with a flipped byte',
    kind: 'corrupt',
    harm: async () => flip((await layers())[0] ?? ''),
  },
  {
    name: 'a layer that was cut short',
    kind: 'corrupt',
    harm: async () => truncate(pathOf((await layers())[2] ?? ''), 40),
  },
  {
    name: 'a log that is gone',
    kind: 'missing',
    harm: async () => rm(pathOf((await digestsOf('SELECT digest FROM event_archives LIMIT 1'))[0] ?? '')),
  },
  {
    name: 'a pack of a cache mount that is gone',
    kind: 'missing',
    harm: async () => rm(pathOf((await digestsOf('SELECT manifest AS digest FROM cache_mount_versions'))[0] ?? '')),
  },
  {
    name: 'an image without its config',
    kind: 'missing',
    harm: async () => rm(pathOf((await digestsOf('SELECT id AS digest FROM images'))[0] ?? '')),
  },
  {
    name: 'a file of a context that is gone',
    kind: 'missing',
    harm: async () => rm(pathOf(digestOf('a file\n'))),
  },
];

const rowHarms: readonly Harm[] = [
  {
    name: 'a row of the index that is gone',
    kind: 'unindexed',
    harm: async () => {
      const [digest] = await layers();
      await farm.db.execute('DELETE FROM grants WHERE digest = $1', [digest]);
      await farm.db.execute('DELETE FROM blobs WHERE digest = $1', [digest]);
    },
  },
  {
    name: 'a result that others stand on',
    kind: 'result',
    harm: async () => {
      await farm.db.execute("UPDATE results SET created_at = now() - interval '2 hours'");
      await farm.db.execute('DELETE FROM results WHERE version = (SELECT min(version) FROM results)');
    },
  },
  {
    name: 'a blob that a result does not keep',
    kind: 'result',
    harm: () =>
      farm.db.execute('UPDATE results SET blobs = blobs[2:] WHERE version = (SELECT max(version) FROM results)'),
  },
  {
    name: 'a size that is wrong',
    kind: 'size',
    harm: async () => farm.db.execute('UPDATE blobs SET size_bytes = 7 WHERE digest = $1', [digestOf(dockerfile)]),
  },
  {
    name: 'bytes that nothing knows',
    kind: 'orphan',
    harm: async () => {
      const { digest } = await farm.content.put(single('nobody’s'));
      await utimes(pathOf(digest), 1_000_000, 1_000_000);
    },
  },
  {
    name: 'a sum that is wrong',
    kind: 'sum',
    harm: () => farm.db.execute('UPDATE sent_totals SET bytes = bytes + 5'),
  },
  {
    name: 'a count of events that is wrong',
    kind: 'sum',
    harm: () => farm.db.execute("UPDATE builds SET last_seq = last_seq + 5 WHERE state = 'succeeded'"),
  },
  {
    name: 'a log that is said to be too long for rows',
    kind: 'sum',
    says: 'bytes of events in rows',
    harm: () => farm.db.execute('UPDATE builds SET loose_bytes = loose_bytes + 2000000'),
  },
  {
    name: 'a figure of the farm that has less than there is',
    kind: 'sum',
    says: 'the farm is said to have counted 0 of builds_submitted',
    harm: () => farm.db.execute("DELETE FROM farm_counters WHERE name IN ('builds_submitted', 'steps')"),
  },
];

const harms = [...blobHarms, ...rowHarms];

/** One by one where there is time; else those of blobs at once, then those of rows. */
const groups: readonly (readonly Harm[])[] =
  process.env['KILN_TEST_LENGTH'] === 'long' ? harms.map((harm) => [harm]) : [blobHarms, rowHarms];

describe('fsck', () => {
  it.each(groups.map((group) => [group.map(({ name }) => name).join(', '), group] as const))(
    'finds and mends %s',
    async (_, group) => {
      for (const { harm } of group) await harm();
      // What is only looked at stays as it is.
      for (const more of [[], ['--repair']]) {
        const { code, report } = await fsck('--deep', ...more);
        const kinds = new Set(group.map(({ kind }) => kind));
        expect(new Set(Object.keys(report.counts)), JSON.stringify(report.findings)).toEqual(kinds);
        expect(report.found).toBeGreaterThanOrEqual(group.length);
        const messages = report.findings.map(({ message }) => message).join('\n');
        for (const { says = '' } of group) expect(messages).toContain(says);
        expect(report.mended).toBe(more.length === 0 ? 0 : report.found);
        expect(code).toBe(1);
      }
      await expectWell('--deep');
      expect(await build()).toBe(image);
      await expectWell('--deep');
    },
  );

  it('leaves what is young alone, and reads nothing unless it is asked to', async () => {
    await farm.content.put(single('on its way'));
    await flip((await layers())[0] ?? '');
    await expectWell();
    await fsck('--deep', '--repair');
  });
});

const Backup = z.object({ blobs: z.int(), newBlobs: z.int(), database: z.object({ name: z.string() }) });

async function backup(to: string) {
  const { code, stdout, stderr } = await runAdmin(['backup', '--json', to], farm.env);
  expect(code, stderr).toBe(0);
  return Backup.parse(JSON.parse(stdout));
}

/** An empty database on the farm's server. */
async function emptyDatabase(): Promise<string> {
  const name = `d${randomBytes(6).toString('hex')}`;
  await farm.db.execute(`CREATE DATABASE ${name}`);
  return Object.assign(new URL(farm.postgres.url), { pathname: `/${name}` }).href;
}

const Claimed = z.object({ id: z.string(), state: z.string(), fence: z.coerce.number(), attempt: z.int() });
const builds = (db: Database) =>
  db.query(Claimed, 'SELECT id, state, coalesce(fence, 0)::text AS fence, attempt FROM builds ORDER BY created_at');

describe('a backup', () => {
  let to: string;
  let slow: RunningCli;
  beforeAll(async () => {
    to = join(await farm.folder(), 'backup');
    expect(await build()).toBe(image);
  });

  it('that dies in the middle is known as unfinished, and the next one completes it', async () => {
    await farm.db.transaction(async (sql) => {
      await sql.execute('LOCK TABLE builds IN ACCESS EXCLUSIVE MODE');
      const dump = async (signal: NodeJS.Signals): Promise<unknown> => {
        const dying = startAdmin(['backup', to], farm.env);
        await expect.poll(() => readdir(to).catch(() => []), { timeout: 30_000 }).toHaveLength(2);
        dying.kill(signal);
        return (await once(dying, 'exit'))[0];
      };
      expect(await dump('SIGINT')).toBe(130);
      expect(await readdir(to)).toEqual(['kiln-backup.json']);
      await dump('SIGKILL');
    });
    const refused = await runAdmin(['restore', to], { ...farm.env, KILN_DATABASE_URL: await emptyDatabase() });
    expect(refused).toMatchObject({ code: 1, stderr: matching(/is unfinished\nrun kiln admin backup/) });
    const { blobs, newBlobs } = await backup(to);
    expect(newBlobs).toBe(blobs);
    expect((await readdir(to)).toSorted()).toEqual([
      ...[matching(/^blobs$/), matching(/^blobs-.*\.txt$/), matching(/^database-.*\.dump$/)],
      ...['kiln-backup.json', 'manifest.json'],
    ]);
  });

  it('of a farm at work copies what is new, while the collector is on', async () => {
    await write(dir, { 'Dockerfile.slow': 'FROM box:1\nRUN sleep 4 && echo slow > /slow\n' });
    // As one that had been taken out of use, and came back a moment ago.
    await farm.db.execute('UPDATE blobs SET used_at = now() WHERE digest = $1', [cameBack]);
    slow = farm.cli(['build', dir, '-f', join(dir, 'Dockerfile.slow')]);
    await expect.poll(async () => (await builds(farm.db)).at(-1)?.state, { timeout: 30_000 }).toBe('running');
    const over = new AbortController();
    const limits = {
      graceMs: 0,
      retentionMs: 3_600_000,
      imageRetentionMs: 3_600_000,
      projectBytes: 1e12,
      totalBytes: 1e12,
    };
    const collector = new Collector({ db: farm.db, content: farm.content, limits });
    const collecting = (async () => {
      while (!over.signal.aborted) {
        await farm.db.execute('UPDATE blobs SET check_at = now() WHERE check_at > now()');
        await collector.collect();
      }
    })();
    const { blobs, newBlobs } = await backup(to);
    over.abort();
    await collecting;
    expect(newBlobs).toBeGreaterThan(0);
    expect(newBlobs).toBeLessThan(blobs);
    expect((await slow.ended).code).toBe(0);
  });

  it('is restored into an empty farm of the same key alone', async () => {
    const [other, env] = [await emptyDatabase(), farm.env];
    const restore = (more: Readonly<Record<string, string>>) => runAdmin(['restore', to], { ...env, ...more });
    expect(await restore({})).toMatchObject({ code: 1, stderr: matching(/the database is not empty\nmake a new/) });
    expect(await restore({ KILN_DATABASE_URL: other, KILN_SECRET_KEY: 'cd'.repeat(32) })).toMatchObject({
      ...{ code: 1, stderr: matching(/another KILN_SECRET_KEY\nset KILN_SECRET_KEY/) },
    });
    const store = await farm.folder();
    await new FolderContentStore({ root: store, random: systemRandom }).put(single('another farm’s'));
    expect(await restore({ KILN_DATABASE_URL: other, KILN_OBJECT_STORE: store })).toMatchObject({
      ...{ code: 1, stderr: matching(/blobs that are none of the backup, such as sha256:.*\nname an empty/) },
    });
    const files = (await readdir(to)).filter((name) => name.endsWith('.dump'));
    await using broken = await changed(join(to, files[0] ?? ''));
    expect(await restore({ KILN_DATABASE_URL: other, KILN_OBJECT_STORE: await farm.folder() })).toMatchObject({
      ...{ code: 1, stderr: matching(/is not what the backup wrote/) },
    });
    void broken;
  });

  it('is a farm again: all hits, images, logs, and the build that was in work', async () => {
    const before = await builds(farm.db);
    await using again = await Farm.start({
      restored: {
        of: farm,
        bring: async (env) => {
          const { code, stdout, stderr } = await runAdmin(['restore', to], env);
          expect(code, stderr).toBe(0);
          expect(stdout).toMatch(/1 builds that were in work are in the queue again\nfsck: \d+ blobs: all is well/);
        },
      },
    });
    // The log of the one before the last has lost nothing.
    const whole = before.at(-2);
    const waiting = (await builds(again.db)).at(-1);
    expect(waiting?.fence).toBeGreaterThan(Math.max(...before.map(({ fence }) => fence)) + 2 ** 39);
    const built = await again.build(dir, ...imageFlags);
    expect(built['containerimage.digest']).toBe(image);
    expect(built['kiln.build'].steps).toMatchObject({ run: 0 });
    const images = await again.cli(['images', '--json']).ended;
    expect(images.stdout).toContain(image);
    const log = (id = ''): Promise<{ readonly stdout: string }> => again.cli(['logs', id]).ended;
    expect((await log(whole?.id)).stdout).toContain('RUN seq 1 200000');
    await expect
      .poll(async () => (await builds(again.db)).find(({ id }) => id === waiting?.id)?.state, { timeout: 60_000 })
      .toBe('succeeded');
    expect(await runAdmin(['fsck', '--deep'], again.env)).toMatchObject({ code: 0 });
  });

  it('whose blobs are damaged is restored without them, into a bucket', async () => {
    await using server = await S3Server.start();
    const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = s3Credentials;
    const env = {
      ...{ ...farm.env, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, KILN_DATABASE_URL: await emptyDatabase() },
      KILN_OBJECT_STORE: `s3://blobs/restored?endpoint=${server.url}&pathStyle=true`,
    };
    const hex = (await layers())[0]?.slice('sha256:'.length) ?? '';
    const sent = cameBack.slice('sha256:'.length);
    await using broken = await changed(join(to, 'blobs/sha256', hex.slice(0, 2), hex));
    await using brokenToo = await changed(join(to, 'blobs/sha256', sent.slice(0, 2), sent));
    void [broken, brokenToo];
    const { code, stdout, stderr } = await runAdmin(['restore', to], env);
    expect([code, stdout]).toEqual([1, matching(/2 blobs of the backup are missing or damaged\nfsck: .* mended/)]);
    for (const lost of [hex, sent]) expect(stderr).toContain(`blob sha256:${lost} is missing`);
    expect(await runAdmin(['fsck', '--deep'], env)).toMatchObject({ code: 0 });
  });
});

/** A file with a byte changed, for a time. */
async function changed(path: string): Promise<AsyncDisposable> {
  const bytes = await readFile(path);
  const other = Buffer.from(bytes);
  other[other.length >> 1] = (other[other.length >> 1] ?? 0) ^ 1;
  await writeFile(path, other);
  return { [Symbol.asyncDispose]: () => writeFile(path, bytes) };
}
