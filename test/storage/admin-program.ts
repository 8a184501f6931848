import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/apps/api/src/admin.js', import.meta.url));

export interface AdminRan {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command of the admin program, as an operator runs it beside the API. */
export function startAdmin(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The same to its end. */
export async function runAdmin(args: readonly string[], env: Readonly<Record<string, string>>): Promise<AdminRan> {
  const child = startAdmin(args, env);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
