import { randomBytes } from 'node:crypto';
import { dockerCredentials, fullName, registryOf } from '#client';
import { followBuild } from '../build/follow.ts';
import { Interrupt } from '../build/interrupt.ts';
import { readConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { connect } from '../farm/connect.ts';
import { chooseRenderer } from '../progress/choose-renderer.ts';
import type { ProgressMode } from '../progress/progress-modes.ts';
import { terminalOf } from '../terminal.ts';

export interface PushFlags {
  readonly progress: ProgressMode;
  readonly quiet?: boolean;
  readonly detach?: boolean;
  readonly data?: string;
}

/** `kiln push IMAGE [NAME…]`: an image of an earlier build goes to registries; nothing is built. */
export async function push(image: string, names: readonly string[], flags: PushFlags): Promise<void> {
  const config = readConfig(process.env, flags.data);
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  await using client = await connect(config);
  const to = names.length > 0 ? names : await ownNames(client.images, image);
  const hosts = to.map(registryOf);
  const credentials = await dockerCredentials(hosts, { configDir: config.dockerConfigDir, signal });
  const renderer = await chooseRenderer({
    mode: flags.quiet === true ? 'quiet' : flags.progress,
    terminal: terminalOf(process.stderr),
    live: config.live,
    write: (text) => void process.stderr.write(text),
    nowMs: () => Date.now(),
  });
  try {
    const idempotencyKey = randomBytes(16).toString('hex');
    const build = await client.images.push(image, { names: [...to], credentials }, { idempotencyKey, signal });
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
    if (flags.quiet === true) process.stdout.write(`${end.result.digest ?? ''}\n`);
  } catch (thrown) {
    if (signal.aborted) throw new Exit(130);
    throw thrown;
  } finally {
    renderer.close();
  }
}

/** Where it goes when nobody says: what it is called; a name that is given is that one alone. */
async function ownNames(
  images: { image(image: string): Promise<{ readonly names: readonly string[] }> },
  image: string,
): Promise<readonly string[]> {
  const { names } = await images.image(image);
  const same = names.filter((name) => name === fullName(image));
  return same.length > 0 ? same : names;
}
