import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { describeFailure } from '../../apps/cli/src/fail.ts';
import { runProgram } from '../../apps/cli/src/program.ts';
import type { Farm } from '../e2e/farm.ts';
import type { GoldenCase } from './golden-case.ts';

/** How a build ended. */
export interface Built {
  readonly code: number | null;
  readonly said: string;
  /** the image, where the build made one */
  readonly archive: string;
}

/** Flags of a case for its working copy and the address of the file server. */
export function caseArgs({ args }: GoldenCase, dir: string, files: string): readonly string[] {
  return args.map((arg) => arg.replaceAll('{dir}', dir).replaceAll('{files}', files));
}

/**
 * Builds a case's working copy with the command line, inside this process: starting one for each of hundreds of cases
 * takes longer than the builds. The recorded cases and test/e2e start it as a user does.
 */
export async function buildWithKiln(farm: Farm, golden: GoldenCase, dir: string, files: string): Promise<Built> {
  const archive = join(dir, 'kiln.tar');
  const output = ['type=oci', `dest=${archive}`, ...golden.output].join(',');
  const args = caseArgs(golden, dir, files);
  const command = ['build', join(dir, 'context'), '-f', join(dir, golden.file), '--progress=plain', '-o', output];
  // A person's own configuration is none of a case's business.
  const environment = { ...farm.cliEnv, DOCKER_CONFIG: join(farm.dir, '.docker'), ...golden.env };
  return { ...(await runCli([...command, ...args], { cwd: dir, environment })), archive };
}

interface Process {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function runCli(args: readonly string[], { cwd, environment }: Process): Promise<Omit<Built, 'archive'>> {
  let said = '';
  const writeError = (text: string): void => void (said += text);
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      said += String(chunk);
      done();
    },
  });
  try {
    await runProgram(args, {
      cwd,
      environment,
      stdin: { stream: Readable.from([]), isTerminal: false },
      stdout,
      terminal: undefined,
      writeError,
      nowMs: () => Date.now(),
    });
    return { code: 0, said };
  } catch (thrown) {
    const { text, code } = describeFailure(thrown);
    return { code, said: said + text };
  }
}
