import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { debianProgram, exists } from '../debian-program.ts';

/** The client of Debian's package docker.io, of 2020, without its engine. */
export const debianDocker = (): Promise<string> => debianProgram('docker.io', 'usr/bin/docker');

/** The client that this machine has; undefined where it has none. */
export async function ownDocker(): Promise<string | undefined> {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = join(dir, 'docker');
    if (await exists(program)) return program;
  }
  return undefined;
}

export interface DockerRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A docker client as its user runs it. */
export class Docker {
  constructor(
    readonly program: string,
    readonly host: string,
    readonly dir: string,
    readonly settings: Readonly<Record<string, string>> = {},
  ) {}

  /** @param input what comes on standard input */
  start(
    args: readonly string[],
    { input = '', cwd = this.dir }: { readonly input?: string; readonly cwd?: string } = {},
  ) {
    const own = { PATH: '/usr/bin:/bin', HOME: this.dir, DOCKER_HOST: this.host, DOCKER_BUILDKIT: '0' };
    const env = { ...own, ...this.settings };
    const child = spawn(this.program, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined).end(input);
    const ended: Promise<DockerRun> = once(child, 'close').then(([code]: unknown[]) => ({
      ...{ code: typeof code === 'number' ? code : null, stdout },
      // Newer ones tell everybody that this builder is old.
      stderr: stderr.replace(/^DEPRECATED: [^]*?\n\n/, ''),
    }));
    return { child, ended, seen: () => stdout };
  }

  async run(...args: readonly string[]): Promise<DockerRun> {
    return await this.start(args).ended;
  }

  /** Standard output of what must not fail. */
  async said(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`docker ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }
}
