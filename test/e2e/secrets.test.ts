import { execFileSync, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { z } from 'zod';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see } from './image.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

const VALUE = 'tr0ub4dor-and-3-horses';
const SECOND = 'line-number-two-of-it';

it('files and variables hold what the client gives, and a step that lacks one fails by name', async () => {
  const dir = await farm.folder();
  await write(dir, {
    Dockerfile: `FROM box:1
RUN --mount=type=secret,id=file sha256sum < /run/secrets/file > /sum; stat -c '%a %u' /run/secrets/file > /mode; df /run/secrets/file | tail -1 | cut -c1-5 > /fs
RUN --mount=type=secret,id=file,target=/etc/conf/x,mode=0440,uid=1000,gid=1000 stat -c '%a %u %g' /etc/conf/x > /mode2
RUN --mount=type=secret,id=VARIABLE,env=TOKEN printf %s "$TOKEN" | sha256sum > /sum2; ls /run > /run-dir 2>/dev/null || true
RUN --mount=type=secret,id=absent --mount=type=secret,id=absent2,env=NONE test ! -e /run/secrets/absent && test -z "$NONE"
USER web
RUN --mount=type=secret,id=file ! cat /run/secrets/file
`,
  });
  const secrets = await farm.folder();
  await write(secrets, { 'secret.txt': `${VALUE}\n` });
  const layout = join(dir, 'layout.tar');
  const args = ['--secret', `id=file,src=${secrets}/secret.txt`, '--secret', 'id=VARIABLE'];
  const { code, stderr } = await farm.cli(['build', dir, ...args, '-o', `type=oci,dest=${layout}`], {
    env: { VARIABLE: SECOND },
  }).ended;
  if (code !== 0) throw new Error(stderr);
  const { root } = await see(`oci-archive:${layout}`, await farm.folder());
  const sum = (text: string): string => execFileSync('sha256sum', { input: text }).toString();
  expect(await readFile(join(root, 'sum'), 'utf8')).toBe(sum(`${VALUE}\n`));
  expect(await readFile(join(root, 'mode'), 'utf8')).toBe('400 0\n');
  expect(await readFile(join(root, 'fs'), 'utf8')).toBe('tmpfs\n');
  expect(await readFile(join(root, 'mode2'), 'utf8')).toBe('440 1000 1000\n');
  expect(await readFile(join(root, 'sum2'), 'utf8')).toBe(sum(SECOND));
  expect(await readFile(join(root, 'run-dir'), 'utf8')).toBe('');
  expect((await readdir(root)).includes('run')).toBe(false);
  await write(dir, { Dockerfile: 'FROM box:1\nRUN --mount=type=secret,id=token,required true\n' });
  const missing = await farm.cli(['build', dir]).ended;
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('the secret "token" was not passed to this build');
  expect(missing.stderr).toContain('pass --secret id=token,src=FILE');
});

it('never reach an image, a key, a log, a table, a process list or a disk, even when a step prints them', async () => {
  const dir = await farm.folder();
  await write(dir, {
    Dockerfile: `FROM box:1
RUN --mount=type=secret,id=s --mount=type=secret,id=s,env=S cat /run/secrets/s; echo "$S" >&2; head -c 10 /run/secrets/s; sleep 0.4; tail -c +11 /run/secrets/s | head -c 5; sleep 0.4; tail -c +16 /run/secrets/s; base64 /run/secrets/s; echo "user:$S" | base64; env; sleep 3
RUN --mount=type=secret,id=s,env=S echo "$S"; exit 3
`,
  });
  const secrets = await farm.folder();
  await write(secrets, { 'secret.txt': `${VALUE}\n${SECOND}\n` });
  const seen: string[] = [];
  const monitor = spawn('redis-cli', ['-u', farm.redis.url, 'MONITOR'], { stdio: ['ignore', 'pipe', 'ignore'] });
  monitor.stdout.setEncoding('utf8').on('data', (text: string) => seen.push(text));
  const cli = farm.cli(['build', dir, '--progress', 'rawjson', '--secret', `id=s,src=${secrets}/secret.txt`]);
  for (let tries = 0; !cli.seen().includes('PATH=') && tries < 300; tries++) await delay(100);
  const running = execFileSync('sh', ['-c', 'cat /proc/[0-9]*/cmdline 2>/dev/null || true']).toString('latin1');
  const disk = await hits(join(farm.dir, 'builder-one'));
  const { code, stdout, stderr } = await cli.ended;
  monitor.kill();
  expect(code).toBe(1);
  expect(stdout + stderr).toContain('***');
  const base64 = Buffer.from(`${VALUE}\n${SECOND}\n`).toString('base64');
  for (const [what, text] of Object.entries({ output: stdout + stderr, processes: running, redis: seen.join('') })) {
    for (const value of [VALUE, SECOND, base64.slice(0, 40)])
      expect([what, text.includes(value)]).toEqual([what, false]);
  }
  expect(disk).toEqual([]);
  expect(await tables()).toEqual([]);
  expect(await hits(join(farm.dir, 'content'))).toEqual([]);
  expect(await hits(join(farm.dir, 'builder-one'))).toEqual([]);
  expect(farm.logs().includes(VALUE)).toBe(false);
});

it('what is too large is said before anything is sent', async () => {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: 'FROM box:1\n', large: 'x'.repeat(500 * 1024 + 1) });
  const { code, stderr } = await farm.cli(['build', dir, '--secret', `id=l,src=${dir}/large`]).ended;
  expect(code).toBe(2);
  expect(stderr).toContain('the secret l has 512001 bytes; at most 512000 are taken');
});

/** Files below a directory that hold a value, compressed or not. */
async function hits(dir: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    const text = plain(bytes).toString('latin1');
    if (text.includes(VALUE) || text.includes(SECOND)) found.push(path);
  }
  return found;
}

function plain(bytes: Buffer): Buffer {
  try {
    if (bytes.readUInt16BE(0) === 0x1f8b) return gunzipSync(bytes);
    if (bytes.readUInt32LE(0) === 0xfd2fb528) return zstdDecompressSync(bytes);
  } catch {
    // What looks like an archive and is none.
  }
  return bytes;
}

/** Tables of Postgres that hold a value, in any column. */
async function tables(): Promise<readonly string[]> {
  const names = await farm.db.query(
    z.object({ name: z.string() }),
    "select table_name as name from information_schema.tables where table_schema = 'public'",
    [],
  );
  const found: string[] = [];
  for (const { name } of names) {
    const rows = await farm.db.query(z.object({ text: z.string() }), `select t::text as text from "${name}" t`, []);
    const hex = Buffer.from(VALUE).toString('hex');
    if (rows.some(({ text }) => text.includes(VALUE) || text.includes(SECOND) || text.includes(hex))) found.push(name);
  }
  return found;
}

it('count in keys by their values where that is asked for, and are in no preimage even then', async () => {
  const dir = await farm.folder();
  const write1 = (comment: string): Promise<void> =>
    write(dir, {
      Dockerfile: `FROM box:1\n${comment}RUN --mount=type=secret,id=TOKEN,env=TOKEN test -n "$TOKEN" && echo keyed > /x\n`,
    });
  const ran = async (value: string, flag = 'id=TOKEN'): Promise<boolean> => {
    const { code, stderr } = await farm.cli(['build', dir, '--progress', 'plain', '--secret', flag], {
      env: { TOKEN: value },
    }).ended;
    if (code !== 0) throw new Error(stderr);
    return !/^#\d+ CACHED/m.test(stderr);
  };
  await write1('');
  expect([await ran(VALUE), await ran(SECOND)]).toEqual([true, false]);
  expect([await ran(VALUE, 'id=TOKEN,keyed'), await ran(SECOND, 'id=TOKEN,keyed')]).toEqual([true, true]);
  await write1('# kiln:secrets=keyed\n');
  expect([await ran(VALUE), await ran(SECOND), await ran('a third')]).toEqual([false, false, true]);
  const found = await farm.db.query(
    z.object({ preimage: z.string() }),
    "SELECT preimage::text FROM records WHERE preimage::text LIKE '%keyed%'",
  );
  expect(found.length).toBeGreaterThan(0);
  for (const { preimage } of found) for (const value of [VALUE, SECOND]) expect(preimage).not.toContain(value);
});
