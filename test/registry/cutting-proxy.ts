import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Passes connections on to a server, and breaks some when so many bytes have gone through in one direction. */
export class CuttingProxy implements AsyncDisposable {
  /** how far each of the next connections gets whose client sends more than that, in bytes */
  readonly cuts: number[] = [];
  /** the same for what the server sends */
  readonly answerCuts: number[] = [];
  readonly #open = new Set<Socket>();

  private constructor(
    readonly server: Server,
    readonly target: URL,
  ) {}

  /** @param target host:port */
  static async start(target: string): Promise<CuttingProxy> {
    const server = createServer();
    const proxy = new CuttingProxy(server, new URL(`http://${target}`));
    server.on('connection', (client) => proxy.#pass(client));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get host(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #pass(client: Socket): void {
    const upstream = connect(Number(this.target.port), this.target.hostname);
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#open.delete(socket);
        peer.destroySoon();
      });
    }
    forward(client, upstream, this.cuts);
    forward(upstream, client, this.answerCuts);
  }
}

function forward(from: Socket, to: Socket, cuts: number[]): void {
  let passed = 0;
  from.on('data', (chunk: Buffer) => {
    passed += chunk.length;
    const [cut] = cuts;
    if (cut !== undefined && passed > cut) {
      cuts.shift();
      // What came before has to arrive first.
      to.end();
      from.destroy();
    } else if (!to.write(chunk)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
}
