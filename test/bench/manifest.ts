// `npm run bench:manifest`: what a context of half a million files costs the API that takes its manifest. Figures, not tests.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { encodeManifest, makeManifest } from '#context';
import type { TreeEntry } from '#content';
import { parseDigest } from '#oci';
import { CONTEXT_MANIFEST_TYPE, ContextView } from '#protocol';
import { migrate, openDatabase, ProjectStore, TokenStore } from '#storage';
import { z } from 'zod';
import { startPostgres, startRedis } from '../../libs/testing/src/services.ts';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '500000' },
    /** of an API that was compiled before, to compare */
    dist: { type: 'string', default: join(import.meta.dirname, '../../dist') },
  },
});
const FILES = Number(values.files);
const PER_DIRECTORY = 100;
const METRICS_TOKEN = 'bench-metrics-token';

function manifestOf(seed: string): Buffer {
  const base = { uid: 0, gid: 0, mtime: 1_700_000_000 };
  const entries: TreeEntry[] = [];
  for (let at = 0; at < FILES; at++) {
    const directory = `packages-of-the-product-${String(Math.floor(at / PER_DIRECTORY)).padStart(6, '0')}`;
    if (at % PER_DIRECTORY === 0) entries.push({ ...base, path: directory, type: 'dir', mode: 0o755 });
    const digest = parseDigest(`sha256:${createHash('sha256').update(`${seed}${at}`).digest('hex')}`);
    const path = `${directory}/component-${String(at).padStart(7, '0')}.generated.ts`;
    entries.push({ ...base, path, type: 'file', mode: 0o644, size: 1_000 + (at % 1_000), digest });
  }
  return encodeManifest(makeManifest(entries));
}

async function listening(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout }))
    return z.object({ url: z.string() }).parse(JSON.parse(line)).url;
  throw new Error('the API ended');
}

await using postgres = await startPostgres();
await using redis = await startRedis();
await using db = openDatabase({ url: postgres.url, max: 2 });
await migrate(db);
const ids = await new ProjectStore(db).ensure('bench', 'main');
const token = await new TokenStore(db).create({ ...ids, permissions: ['build', 'read'] });
const content = await mkdtemp(join(tmpdir(), 'kiln-bench-'));
const api = spawn(process.execPath, [join(values.dist, 'apps/api/src/main.js')], {
  stdio: ['ignore', 'pipe', 'ignore'],
  env: {
    PATH: process.env['PATH'] ?? '',
    KILN_DATABASE_URL: postgres.url,
    KILN_REDIS_URL: redis.url,
    KILN_OBJECT_STORE: content,
    KILN_SECRET_KEY: 'ab'.repeat(32),
    KILN_API_PORT: '0',
    KILN_CONTEXT_MAX_FILES: String(2 * FILES),
    KILN_METRICS_TOKEN: METRICS_TOKEN,
  },
});
try {
  const url = await listening(api);
  /** The longest that the event loop was held since the last question, by monitorEventLoopDelay. */
  const longestMs = async (): Promise<number> => {
    const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    const line = /^nodejs_eventloop_lag_max_seconds (.*)$/m.exec(await answer.text());
    return Math.round(Number(line?.[1]) * 1000);
  };
  const peakMib = async (): Promise<number> => {
    const line = /^VmHWM:\s+(\d+)/m.exec(await readFile(`/proc/${api.pid}/status`, 'utf8'));
    return Math.round(Number(line?.[1]) / 1024);
  };
  const announce = async (body: Uint8Array<ArrayBuffer>): Promise<void> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': CONTEXT_MANIFEST_TYPE };
    const answer = await fetch(`${url}/v1/contexts`, { method: 'POST', headers, body });
    if (answer.status !== 200) throw new Error(await answer.text());
    ContextView.parse(await answer.json());
  };
  await announce(new Uint8Array(gzipSync(encodeManifest(makeManifest([])))));
  console.table({ before: { 'event loop held, ms': await longestMs(), 'peak, MiB': await peakMib() } });
  for (const seed of ['a', 'b', 'b']) {
    const body = new Uint8Array(gzipSync(manifestOf(seed)));
    await longestMs();
    const beganMs = performance.now();
    await announce(body);
    console.log(
      JSON.stringify({
        ms: Math.round(performance.now() - beganMs),
        heldMs: await longestMs(),
        peakMib: await peakMib(),
      }),
    );
  }
} finally {
  api.kill('SIGKILL');
  await once(api, 'exit');
  await rm(content, { recursive: true, force: true });
}
