import { randomBytes } from 'node:crypto';
import { dockerCredentials, fullName, registryOf } from '#client';
import type { BuildFailure } from '#protocol';
import { errorTraits, isErrorCode, isKilnError } from '#std';
import { type FinalEvent, followBuild } from '../build/follow.ts';
import { Interrupt } from '../build/interrupt.ts';
import { readSecrets } from '../build/secrets.ts';
import { readConfig } from '../config.ts';
import { describeFailure, Exit } from '../fail.ts';
import { connect } from '../farm/connect.ts';
import { type ContainerFlags, readContainerFlags } from '../run/container-flags.ts';
import { ContainerOutput } from '../run/container-output.ts';

export interface RunCommandFlags extends ContainerFlags {
  readonly quiet?: boolean;
  readonly data?: string;
}

/** As docker run has it: the container did not come to run, or not to its end. */
const NOT_RUN = 125;
/** As a shell has it of a process whose reader has gone. */
const READER_GONE = 141;

/** `kiln run IMAGE [COMMAND] [ARG…]`: a container of the farm, whose output and exit code become this command's. */
export async function run(image: string, command: readonly string[], flags: RunCommandFlags): Promise<void> {
  const config = readConfig(process.env, flags.data);
  const { request, secrets: sources } = await readContainerFlags(command, flags, process.env);
  using interrupt = new Interrupt();
  const readerGone = goneReader();
  const signal = AbortSignal.any([interrupt.signal, readerGone]);
  const output = new ContainerOutput({
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    quiet: flags.quiet === true,
  });
  const interrupted = (): Exit => new Exit(readerGone.aborted ? READER_GONE : 130);
  try {
    await using client = await connect(config);
    const note = (text: string): void => output.note(text);
    const secrets = await readSecrets(sources, { cwd: process.cwd(), environment: process.env, note });
    const hosts = fullName(image) === undefined ? [] : [registryOf(image)];
    const credentials = await dockerCredentials(hosts, { configDir: config.dockerConfigDir, signal });
    const idempotencyKey = randomBytes(16).toString('hex');
    const build = await client.images.run(image, { ...request, secrets, credentials }, { idempotencyKey, signal });
    const end = await followBuild({ client, buildId: build.id, renderer: output, interrupted: signal });
    if (signal.aborted) throw interrupted();
    const code = tellEnd(end, (text) => void process.stderr.write(text));
    if (code !== 0) throw new Exit(code);
  } catch (thrown) {
    if (signal.aborted) throw interrupted();
    if (!isKilnError(thrown) || thrown.traits.exit !== 1) throw thrown;
    process.stderr.write(describeFailure(thrown).text);
    throw new Exit(NOT_RUN);
  } finally {
    output.close();
  }
}

/** The exit code; why there is none of the process is told. */
export function tellEnd(end: FinalEvent | undefined, write: (text: string) => void): number {
  switch (end?.type) {
    case 'succeeded':
      return 0;
    case 'failed':
      return tellFailure(end.failure, write);
    case 'cancelled':
      write(`kiln: the run was cancelled: ${end.reason}\n`);
      return NOT_RUN;
    case undefined:
      return NOT_RUN;
  }
}

function tellFailure({ code, exitCode, message, hint }: BuildFailure, write: (text: string) => void): number {
  if (exitCode !== undefined) return exitCode;
  write(`kiln: ${message}\n${hint === undefined ? '' : `${hint}\n`}`);
  const exit = isErrorCode(code) ? errorTraits[code].exit : 1;
  // What a process says with 1 is not said by what never ran.
  return exit === 1 ? NOT_RUN : exit;
}

/** Aborted once nobody reads standard output any more: `kiln run IMAGE | head`. */
function goneReader(): AbortSignal {
  const gone = new AbortController();
  // Else the command would end at once, and leave its container to the farm.
  process.stdout.removeAllListeners('error');
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    gone.abort(new Error('nobody reads what the container writes'));
  });
  return gone.signal;
}
