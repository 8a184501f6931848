import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { debianProgram } from '../debian-program.ts';

/**
 * Prometheus' own checker, of Debian's package.
 * @param input what comes on standard input
 * @returns what it says; fails with that when it complains
 */
export async function promtool(args: readonly string[], input = ''): Promise<string> {
  const child = spawn(await debianProgram('prometheus', 'usr/bin/promtool'), args);
  child.stdin.on('error', () => undefined).end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  if (child.exitCode !== 0)
    throw new Error(`promtool ${args.join(' ')} exited with ${child.exitCode}:\n${stdout}${stderr}`);
  return stdout;
}
