import { randomBytes } from 'node:crypto';
import { dockerCredentials } from '#client';
import type { BuildView } from '#protocol';
import { followBuild } from '../build/follow.ts';
import { Interrupt } from '../build/interrupt.ts';
import { parseSecret, readSecrets } from '../build/secrets.ts';
import { SshAgents } from '../build/ssh-agents.ts';
import { parseAgent } from '../build/ssh-sources.ts';
import { readConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { connect } from '../farm/connect.ts';
import { chooseRenderer } from '../progress/choose-renderer.ts';
import type { ProgressMode } from '../progress/progress-modes.ts';
import { terminalOf } from '../terminal.ts';
import { usageError } from '../usage.ts';

export interface RetryFlags {
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly progress: ProgressMode;
  readonly quiet?: boolean;
  readonly detach?: boolean;
  readonly data?: string;
}

/** `kiln retry BUILD`: the same request and context once more, followed as `kiln build` does. */
export async function retry(id: string, flags: RetryFlags): Promise<void> {
  const config = readConfig(process.env, flags.data);
  using interrupt = new Interrupt();
  await using client = await connect(config);
  const { request } = await client.build(id);
  const renderer = await chooseRenderer({
    mode: flags.quiet === true ? 'quiet' : flags.progress,
    terminal: terminalOf(process.stderr),
    live: config.live,
    write: (text) => void process.stderr.write(text),
    nowMs: () => Date.now(),
  });
  try {
    const around = { cwd: process.cwd(), environment: process.env };
    const sources = (flags.ssh ?? []).map(parseAgent);
    checkAgents(
      request.ssh,
      sources.map((source) => source.id),
      flags.detach === true,
    );
    const note = (text: string): void => renderer.note(text);
    const secrets = await readSecrets((flags.secret ?? []).map(parseSecret), { ...around, note });
    const { signal } = interrupt;
    const credentials = await dockerCredentials(request.credentialHosts, { configDir: config.dockerConfigDir, signal });
    await using agents = await SshAgents.open(sources, around);
    const idempotencyKey = randomBytes(16).toString('hex');
    const build = await client.retry(id, { secrets, credentials }, { idempotencyKey, signal });
    await using _session = sources.length === 0 ? undefined : client.session(build.id, { agents: agents.answer });
    const farm = { url: new URL(build.url).origin, embedded: config.farm === undefined };
    renderer.show({ type: 'accepted', atMs: Date.now(), build, farm });
    if (flags.detach === true && !signal.aborted) {
      renderer.close();
      process.stdout.write(`${build.id}\n`);
      return;
    }
    const end = await followBuild({ client, buildId: build.id, renderer, interrupted: signal });
    renderer.close();
    if (signal.aborted) throw new Exit(130);
    if (end?.type !== 'succeeded') throw new Exit(1);
    if (flags.quiet === true) process.stdout.write(`${end.result.digest ?? end.result.configDigest ?? ''}\n`);
    else tellFiles(build, end.result.outputs.length);
  } catch (thrown) {
    if (interrupt.signal.aborted) throw new Exit(130);
    throw thrown;
  } finally {
    renderer.close();
  }
}

/** Where the first build's client wrote its files, this one does not know. */
function tellFiles({ url }: BuildView, files: number): void {
  if (files > 0)
    process.stderr.write(`${files === 1 ? 'its file is' : `its ${files} files are`} at ${url}/outputs/0\n`);
}

function checkAgents(wanted: readonly string[], given: readonly string[], detached: boolean): void {
  const missing = wanted.find((id) => !given.includes(id));
  if (missing !== undefined) {
    throw usageError(`the build was lent the SSH agent ${missing}`, `lend it again: --ssh ${missing}`);
  }
  if (detached && given.length > 0)
    throw usageError('--detach: --ssh needs a client that stays', 'leave one of them out');
}
