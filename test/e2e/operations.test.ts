import { readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '#oci';
import { single } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runAdmin } from '../storage/admin-program.ts';
import { write } from './context.ts';
import { Farm } from './farm.ts';

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
let dir: string;
let image: string | undefined;

/** An image whose digest does not tell when its steps ran. */
async function build(): Promise<string | undefined> {
  const output = 'type=image,rewrite-timestamp=true';
  const args = ['-t', 'acme/app:1', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--output', output];
  return (await farm.build(dir, ...args))['containerimage.digest'];
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
