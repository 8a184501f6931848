import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs a program of Node's with this process' streams, to its end.
 * @param env its environment; this process' when it is not given
 * @returns its exit code: 130 when an interrupt ended it, 1 for another signal
 */
export async function foreground(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<number> {
  const child = spawn(process.execPath, args, { stdio: 'inherit', ...(env === undefined ? {} : { env: { ...env } }) });
  // A terminal's Ctrl-C goes to the child as well, which cleans up; this process waits for how that ends.
  const forward = (signal: NodeJS.Signals): void => void (signal === 'SIGTERM' && child.kill(signal));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? (signal === 'SIGINT' ? 130 : 1);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
  }
}
