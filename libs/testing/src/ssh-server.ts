import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accepting } from './accepting.ts';
import { freePort } from './services.ts';

const run = promisify(execFile);

/** Debian's sshd on loopback; who has the key in `userKey` is let in as root. */
export class SshServer implements AsyncDisposable {
  private constructor(
    readonly dir: string,
    readonly port: number,
    readonly process: ChildProcess,
  ) {}

  static async start(): Promise<SshServer> {
    const dir = await mkdtemp(join(tmpdir(), 'kiln-sshd-'));
    for (const name of ['host', 'user']) {
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', `${name}-key`, '-f', join(dir, name)]);
    }
    const port = await freePort();
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(dir, 'host')}`,
      `AuthorizedKeysFile ${join(dir, 'user.pub')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
    ];
    await writeFile(join(dir, 'config'), config.join('\n'));
    // Where sshd puts its unprivileged half; packages leave it to the system's start.
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const server = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(dir, 'config')], { stdio: 'ignore' });
    await accepting(port, server);
    return new SshServer(dir, port, server);
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** private, with its public half beside it */
  get userKey(): string {
    return join(this.dir, 'user');
  }

  /** of a repository by its path on this machine */
  url(path: string): string {
    return `ssh://root@${this.host}${path}`;
  }

  /** What its clients have to know it by. */
  async knownHosts(): Promise<string> {
    return `[127.0.0.1]:${this.port} ${await readFile(join(this.dir, 'host.pub'), 'utf8')}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill();
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
    await rm(this.dir, { recursive: true, force: true });
  }
}
