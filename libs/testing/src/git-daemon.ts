import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accepting } from './accepting.ts';
import { freePort } from './services.ts';

/** git's own daemon on loopback: repositories by git://. */
export class GitDaemon implements AsyncDisposable {
  private constructor(
    readonly port: number,
    readonly process: ChildProcess,
  ) {}

  /** @param dir with the repositories */
  static async start(dir: string): Promise<GitDaemon> {
    const port = await freePort();
    const options = ['--export-all', `--base-path=${dir}`, '--listen=127.0.0.1', `--port=${port}`, '--reuseaddr'];
    const daemon = spawn('/usr/lib/git-core/git-daemon', options, { stdio: 'ignore' });
    await accepting(port, daemon);
    return new GitDaemon(port, daemon);
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  url(name: string): string {
    return `git://${this.host}/${name}.git`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill();
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
  }
}
