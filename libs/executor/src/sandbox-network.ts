import { type ChildProcess, spawn } from 'node:child_process';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Readable } from 'node:stream';
import { KilnError } from '#std';
import { type Cidr, makeUnreachable, parseCidr } from './unreachable-routes.ts';

export interface NetworkPlan {
  /** the sandbox's own network, which only it and its helper know */
  readonly cidr: Cidr;
  /** where its helper answers DNS for the node's resolver */
  readonly nameserver: string;
  readonly unreachable: readonly Cidr[];
}

/** Link-local addresses: the metadata service of every cloud is there. */
const LINK_LOCAL: Cidr = '169.254.0.0/16';
const candidates: readonly Cidr[] = ['10.0.2.0/24', '10.213.2.0/24', '172.30.213.0/24', '192.168.213.0/24'];
const startLimitMs = 10_000;

/**
 * A network of the sandbox's own that is none of the node's, and what must not be reached from it: the node itself,
 * under whatever address, since its services trust it.
 */
export function planNetwork(interfaces = networkInterfaces()): NetworkPlan {
  const own = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family }) => family === 'IPv4');
  const taken = new BlockList();
  for (const { address, cidr } of own) taken.addSubnet(address, cidr === null ? 32 : parseCidr(cidr).bits);
  const cidr = candidates.find((network) => !taken.check(hostIn(network, 0)));
  if (cidr === undefined)
    throw new KilnError('SANDBOX_FAILED', 'every network that sandboxes could use is one of the node’s');
  const external = own.filter(({ address }) => !address.startsWith('127.')).map(({ address }) => `${address}/32`);
  return { cidr, nameserver: hostIn(cidr, 3), unreachable: [LINK_LOCAL, ...external] };
}

function hostIn(network: Cidr, host: number): string {
  const { address } = parseCidr(network);
  return [...address.subarray(0, 3), host].join('.');
}

/** A way out of a network namespace, by a process of its own. */
export class SandboxNetwork {
  readonly #helper: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(helper: ChildProcess, ended: Promise<void>) {
    this.#helper = helper;
    this.#ended = ended;
  }

  /**
   * Connects the network namespace of a process: outbound only, nothing of the node's loopback.
   * @throws KilnError SANDBOX_FAILED
   */
  static async connect(slirp4netns: string, pid: number, plan: NetworkPlan): Promise<SandboxNetwork> {
    // Before there is a way out.
    makeUnreachable(pid, plan.unreachable);
    const args = [
      '--configure',
      '--mtu=65520',
      `--cidr=${plan.cidr}`,
      '--disable-host-loopback',
      '--enable-sandbox',
      '--enable-seccomp',
    ];
    // It ends by itself when descriptor 4 closes, which it does with this process.
    const helper = spawn(slirp4netns, [...args, '--ready-fd=3', '--exit-fd=4', String(pid), 'tap0'], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      env: {},
    });
    const ended = new Promise<void>((resolve) => helper.once('close', () => resolve()).once('error', () => resolve()));
    const network = new SandboxNetwork(helper, ended);
    try {
      await ready(helper);
      return network;
    } catch (thrown) {
      await network.close();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    this.#helper.kill('SIGKILL');
    for (const stream of this.#helper.stdio) stream?.destroy();
    await this.#ended;
  }
}

async function ready(helper: ChildProcess): Promise<void> {
  let said = '';
  helper.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const signal = helper.stdio[3] as Readable;
  const started = Promise.withResolvers<void>();
  const fail = (why: string): void =>
    started.reject(new KilnError('SANDBOX_FAILED', `the sandbox has no network: ${why} ${said}`.trim()));
  const timer = setTimeout(() => fail('slirp4netns takes too long.'), startLimitMs);
  signal.once('data', () => started.resolve());
  signal.on('error', (error) => fail(error.message));
  helper.once('error', (error) => fail(error.message));
  helper.once('exit', (code) => fail(`slirp4netns ended with ${code ?? 'a signal'}.`));
  try {
    await started.promise;
  } finally {
    clearTimeout(timer);
  }
}
