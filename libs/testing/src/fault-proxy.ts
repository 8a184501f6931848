import { once } from 'node:events';
import { createServer, type IncomingMessage, request as forward, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface ProxiedRequest {
  readonly method: string;
  /** with the query */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** What happens instead of what the server would do. */
export type Fault =
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  /** the connection ends after so many bytes of the answer's body */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** before anything is answered */
  | { readonly kind: 'reset' }
  /** nothing is ever answered */
  | { readonly kind: 'silence' }
  /** each byte of the body is passed on as another one */
  | { readonly kind: 'garble' };

/** Requests that get no further until they are let. */
interface Held extends Disposable {
  /** how many have come */
  readonly count: () => number;
}

interface Rule {
  left: number;
  readonly matches: (request: ProxiedRequest) => boolean;
  readonly fault: Fault;
}

/** Stands between a client and an HTTP server that works, and does not. */
export class FaultProxy implements AsyncDisposable {
  readonly requests: ProxiedRequest[] = [];
  readonly #rules: Rule[] = [];
  readonly #holds = new Set<(request: ProxiedRequest) => Promise<void> | undefined>();
  readonly #joined = new Set<Socket>();
  readonly #server: Server;
  readonly #target: URL;

  private constructor(server: Server, target: URL) {
    this.#server = server;
    this.#target = target;
  }

  static async start(target: string): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, new URL(target));
    server.on('request', (request, response) => void proxy.#serve(request, response));
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      proxy.#join(request, socket, head),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  /** The next `times` requests that match meet the fault. */
  next(times: number, matches: (request: ProxiedRequest) => boolean, fault: Fault): void {
    this.#rules.push({ left: times, matches, fault });
  }

  /** Requests that match wait until the hold is disposed of. */
  hold(matches: (request: ProxiedRequest) => boolean): Held {
    const end = Promise.withResolvers<void>();
    let count = 0;
    const wait = (request: ProxiedRequest): Promise<void> | undefined => {
      if (!matches(request)) return undefined;
      count++;
      return end.promise;
    };
    this.#holds.add(wait);
    const dispose = (): void => {
      this.#holds.delete(wait);
      end.resolve();
    };
    return { count: () => count, [Symbol.dispose]: dispose };
  }

  /** From now on everything works. */
  heal(): void {
    this.#rules.length = 0;
  }

  /** Connections that are open now. */
  async connections(): Promise<number> {
    return await new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#joined) socket.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request;
    const asked = { method, path, headers };
    this.requests.push(asked);
    for (const hold of this.#holds) await hold(asked);
    const rule = this.#rules.find(({ left, matches }) => left > 0 && matches(asked));
    if (rule === undefined) return this.#forward(request, response);
    rule.left--;
    const { fault } = rule;
    switch (fault.kind) {
      case 'answer':
        request.resume();
        request.once('end', () =>
          response.writeHead(fault.status, { 'content-type': 'application/xml' }).end(fault.body),
        );
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'silence':
        request.resume();
        return;
      case 'cut':
      case 'garble':
        return this.#forward(request, response, fault);
    }
  }

  /** A WebSocket: from here on nobody looks at what passes. */
  #join(request: IncomingMessage, client: Socket, head: Buffer): void {
    const { method = '', url: path = '', headers, rawHeaders } = request;
    this.requests.push({ method, path, headers });
    const upstream = connect(Number(this.#target.port), this.#target.hostname);
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#joined.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#joined.delete(socket);
        peer.destroy();
      });
    }
    const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
    upstream.write(`${[`${method} ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`);
    upstream.write(head);
    client.pipe(upstream).pipe(client);
  }

  #forward(request: IncomingMessage, response: ServerResponse, fault?: Fault): void {
    const { hostname, port } = this.#target;
    const { method, url: path, headers } = request;
    const upstream = forward({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      let passed = 0;
      answer.on('data', (chunk: Buffer) => {
        const room = fault?.kind === 'cut' ? fault.afterBytes - passed : chunk.length;
        passed += chunk.length;
        const piece = chunk.subarray(0, Math.max(room, 0));
        const flowing = response.write(fault?.kind === 'garble' ? piece.map((byte) => byte ^ 1) : piece);
        if (room < chunk.length) {
          answer.destroy();
          // What was written is on its way first.
          response.write('', () => response.destroy());
        } else if (!flowing) {
          answer.pause();
          response.once('drain', () => answer.resume());
        }
      });
      answer.once('end', () => response.end());
      answer.once('error', () => response.destroy());
    });
    upstream.once('error', () => response.destroy());
    response.once('close', () => upstream.destroy());
    request.pipe(upstream);
  }
}
