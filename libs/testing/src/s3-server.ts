import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Its only account. */
export const s3Credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' } as const;

const SCRIPT = `
const S3rver = require(process.argv[1]);
const options = JSON.parse(process.argv[2]);
new S3rver(options).run().then(({ port }) => console.log(port));
`;

/** A server that speaks the S3 protocol, as a process of its own, with an empty bucket `blobs`. */
export class S3Server implements AsyncDisposable {
  private constructor(
    readonly url: string,
    /** where objects are files */
    readonly dir: string,
    readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<S3Server> {
    const dir = await mkdtemp(join(tmpdir(), 'kiln-s3-'));
    const module = createRequire(import.meta.url).resolve('@20minutes/s3rver');
    const options = {
      directory: dir,
      address: '127.0.0.1',
      port: 0,
      silent: true,
      // It signs a bucket's address without the slash that clients sign.
      allowMismatchedSignatures: true,
      configureBuckets: [{ name: 'blobs' }],
    };
    const child = spawn(process.execPath, ['-e', SCRIPT, module, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const stop = async (): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
    for await (const line of createInterface({ input: child.stdout })) {
      return new S3Server(`http://127.0.0.1:${line}`, dir, stop);
    }
    await stop();
    throw new Error('the S3 server did not start');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}
