// `npm run bench:contexts`: what sending a large context costs, against `tar | curl`. Figures, not tests.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { EmbeddedFarm } from '../farm/embedded-farm.ts';

const { values } = parseArgs({
  options: { files: { type: 'string', default: '20000' }, runs: { type: 'string', default: '3' } },
});
const FILES = Number(values.files);
const RUNS = Number(values.runs);
const FILES_PER_DIRECTORY = 100;
const FILE_BYTES = 10_000;
/** What has just changed is read again by the client: a file is to be older than that. */
const SETTLED_MS = 3_000;
const kiln = fileURLToPath(new URL('../../kiln', import.meta.url));

interface Measured {
  /** to the farm, on the wire */
  readonly bytes: number;
  /** from the start of the command until the farm has accepted the build */
  readonly acceptedMs: number;
  /** until the last of the files is on the wire */
  readonly sentMs: number;
  /** until the build has ended */
  readonly endedMs: number;
}

/** What is no file, but a question or a sign of life. */
const SMALL_BYTES = 4_096;

/** Counts what goes to the farm. */
class Wire implements Disposable {
  readonly server: Server;
  bytes = 0;
  acceptedAtMs = 0;
  sentAtMs = 0;

  private constructor(server: Server) {
    this.server = server;
  }

  static async to(url: URL): Promise<Wire> {
    const server = createServer();
    const wire = new Wire(server);
    server.on('connection', (client) => {
      const farm = connect(Number(url.port), url.hostname);
      client.on('data', (chunk: Buffer) => {
        wire.bytes += chunk.byteLength;
        if (chunk.byteLength > SMALL_BYTES) wire.sentAtMs = performance.now();
      });
      farm.on('data', (chunk: Buffer) => {
        if (chunk.toString('latin1', 0, 12) === 'HTTP/1.1 202') wire.acceptedAtMs = performance.now();
      });
      client.pipe(farm).pipe(client);
      for (const socket of [client, farm]) socket.on('error', () => [client, farm].map((each) => each.destroy()));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  [Symbol.dispose](): void {
    this.server.close();
  }
}

/** Files half of which does not compress, in a hundred to a directory. */
async function makeTree(dir: string, seed: string): Promise<void> {
  const words = 'export const value = await import(specifier); // nothing that counts\n'.repeat(80);
  for (let index = 0; index < FILES; index++) {
    const parent = join(dir, `d${Math.floor(index / FILES_PER_DIRECTORY)}`);
    if (index % FILES_PER_DIRECTORY === 0) await mkdir(parent, { recursive: true });
    const name = createHash('sha256').update(`${seed} ${index}`).digest('hex');
    const text = `${name}\n${words}`.slice(0, FILE_BYTES / 2);
    await writeFile(
      join(parent, `${name.slice(0, 12)}.ts`),
      Buffer.concat([Buffer.from(text), randomBytes(FILE_BYTES / 2)]),
    );
  }
  await writeFile(join(dir, 'Dockerfile'), 'FROM scratch\nCOPY . /app/\n');
}

class Sending {
  readonly farm: EmbeddedFarm;
  readonly wire: Wire;
  readonly token: string;
  readonly figures = new Map<string, Measured[]>();

  constructor(farm: EmbeddedFarm, wire: Wire, token: string) {
    this.farm = farm;
    this.wire = wire;
    this.token = token;
  }

  async measure(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.wire.bytes;
    const beganMs = performance.now();
    await work();
    const measured = {
      bytes: this.wire.bytes - before,
      acceptedMs: this.wire.acceptedAtMs - beganMs,
      sentMs: this.wire.sentAtMs - beganMs,
      endedMs: performance.now() - beganMs,
    };
    this.figures.set(name, [...(this.figures.get(name) ?? []), measured]);
    process.stderr.write(`${name}: ${rowOf(measured).join('  ')}\n`);
  }

  kiln(name: string, dir: string): Promise<void> {
    return this.measure(`kiln build, ${name}`, async () => {
      const env = { ...process.env, KILN_URL: this.wire.url, KILN_TOKEN: this.token };
      const cache = { XDG_CACHE_HOME: join(this.farm.dir, 'cache') };
      const child = spawn(kiln, ['build', dir, '--progress=quiet'], {
        ...{ env: { ...env, ...cache }, stdio: ['ignore', 'ignore', 'pipe'] },
      });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
      await once(child, 'close');
      if (child.exitCode !== 0) throw new Error(said);
    });
  }

  tar(name: string, dir: string): Promise<void> {
    return this.measure(`tar | curl, ${name}`, async () => {
      const command = `tar -C "$DIR" -c . | curl -sSf "$URL/v1/builds" -H "authorization: Bearer $TOKEN" -F 'request={}' -F context=@-`;
      const child = spawn('sh', ['-c', command], {
        env: { PATH: process.env['PATH'], DIR: dir, URL: this.wire.url, TOKEN: this.token },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      await once(child, 'close');
      const { id } = z.object({ id: z.string() }).parse(JSON.parse(said));
      const headers = { authorization: `Bearer ${this.token}` };
      await (await fetch(`${this.wire.url}/v1/builds/${id}/logs?follow=true`, { headers })).text();
    });
  }
}

const median = (samples: readonly number[]): number =>
  samples.toSorted((a, b) => a - b)[samples.length >> 1] ?? Number.NaN;

function rowOf({ bytes, ...times }: Measured): readonly string[] {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  return [
    `${(bytes / 1e6).toFixed(2)} MB`.padStart(10),
    `accepted ${seconds(times.acceptedMs)}`,
    `sent ${seconds(times.sentMs)}`,
    `ended ${seconds(times.endedMs)}`,
  ];
}

async function changeOne(dir: string, text: string): Promise<void> {
  await writeFile(join(dir, 'd0', 'changed.ts'), text);
}

await using farm = await EmbeddedFarm.create();
await farm.succeed('up', '--builders', '1');
const { url, token } = z
  .object({ url: z.string(), token: z.string() })
  .parse(JSON.parse(await readFile(join(farm.data, 'farm.json'), 'utf8')));
using wire = await Wire.to(new URL(url));
const sending = new Sending(farm, wire, token);
for (let run = 0; run < RUNS; run++) {
  for (const tool of ['kiln', 'tar'] as const) {
    const dir = join(farm.dir, `${tool}-${run}`);
    const fresh = `${dir}-fresh`;
    await makeTree(dir, `${tool} ${run}`);
    await changeOne(dir, `${tool} ${run}`);
    await delay(SETTLED_MS);
    await sending[tool]('first', dir);
    await sending[tool]('the same again', dir);
    await cp(dir, fresh, { recursive: true });
    await sending[tool]('fresh checkout', fresh);
    await changeOne(fresh, `${tool} ${run} changed`);
    await sending[tool]('one file changed', fresh);
    for (const done of [dir, fresh]) await rm(done, { recursive: true });
  }
}
process.stdout.write(`\nmedians of ${RUNS} runs, ${FILES} files\n`);
for (const [name, measured] of sending.figures) {
  const middle = {
    bytes: median(measured.map(({ bytes }) => bytes)),
    acceptedMs: median(measured.map(({ acceptedMs }) => acceptedMs)),
    sentMs: median(measured.map(({ sentMs }) => sentMs)),
    endedMs: median(measured.map(({ endedMs }) => endedMs)),
  };
  process.stdout.write(`${[name.padEnd(32), ...rowOf(middle)].join('  ')}\n`);
}
