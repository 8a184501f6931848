import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = async (...args: readonly string[]): Promise<void> => void (await run('ip', args));
const checkout = fileURLToPath(new URL('../../', import.meta.url));

/** Two addresses of a network for tests of networks, of this process alone. */
function addresses(): readonly [string, string] {
  const first = (process.pid % 16_384) * 4;
  const address = (host: number): string => `198.18.${first >> 8}.${(first & 255) + host}`;
  return [address(1), address(2)];
}

/** A machine with a network of its own: what listens on this one's loopback it does not reach. A cable joins the two. */
export class Machine implements AsyncDisposable {
  readonly #name = `kiln-${process.pid}`;
  readonly #near = `kn${process.pid}`;
  readonly #resources = new AsyncDisposableStack();
  /** where this machine is for that one */
  readonly here: string;

  private constructor(here: string) {
    this.here = here;
  }

  static async start(): Promise<Machine> {
    const [here, there] = addresses();
    const machine = new Machine(here);
    const [name, near, far] = [machine.#name, machine.#near, `kf${process.pid}`];
    try {
      await ip('netns', 'add', name);
      // The cable goes with it.
      machine.#resources.defer(() => ip('netns', 'del', name));
      await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
      await ip('addr', 'add', `${here}/30`, 'dev', near);
      await ip('link', 'set', near, 'up');
      await ip('-n', name, 'addr', 'add', `${there}/30`, 'dev', far);
      for (const device of ['lo', far]) await ip('-n', name, 'link', 'set', device, 'up');
      return machine;
    } catch (thrown) {
      await machine[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Lets that machine reach a port of this one's loopback. @returns the port for it */
  async open(port: number): Promise<number> {
    const server = createServer((socket) => {
      const inner = connect(port, '127.0.0.1');
      for (const [from, to] of [[socket, inner] as const, [inner, socket] as const])
        from.on('error', () => to.destroy()).pipe(to);
      this.#resources.defer(() => void [socket, inner].map((each) => each.destroy()));
    });
    server.listen(0, this.here);
    await once(server, 'listening');
    this.#resources.defer(() => void server.close());
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  /** Whether the cable is plugged in. */
  async cable(state: 'up' | 'down'): Promise<void> {
    await ip('link', 'set', this.#near, state);
  }

  /** Runs a line of shell there, in this checkout, until the machine goes. @returns the first line that it says */
  async sh(line: string, env: Readonly<Record<string, string>>): Promise<string> {
    const args = [`--net=/run/netns/${this.#name}`, 'sh', '-c', line];
    const child = spawn('nsenter', args, { cwd: checkout, env: { ...env }, detached: true });
    this.#resources.defer(() => ended(child));
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    for await (const said of createInterface({ input: child.stdout })) return said;
    throw new Error(`it ended and said nothing:\n${log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** With all that it started. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  process.kill(-child.pid, 'SIGKILL');
  await once(child, 'exit');
}
