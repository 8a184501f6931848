import { terminalOf } from '../terminal.ts';
import type { BuildSurroundings } from './run-build.ts';

/** What a build takes from this process. */
export function ownSurroundings(): BuildSurroundings {
  return {
    cwd: process.cwd(),
    environment: process.env,
    stdin: { stream: process.stdin, isTerminal: process.stdin.isTTY === true },
    stdout: process.stdout,
    terminal: terminalOf(process.stderr),
    writeError: (text) => void process.stderr.write(text),
    nowMs: () => Date.now(),
  };
}
