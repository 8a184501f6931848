import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ServedFile {
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** 200 by default */
  readonly status?: number;
}

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly status: number;
}

type Answer = ServedFile | ((request: IncomingMessage, response: ServerResponse) => void);

/** A web server on loopback that knows entity tags, and remembers what it was asked. */
export class WebServer implements AsyncDisposable {
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly files = new Map<string, Answer>();
  readonly seen: SeenRequest[] = [];
  /** of all bodies */
  sentBytes = 0;

  static async start(): Promise<WebServer> {
    const server = new WebServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  url(path: string): string {
    return `http://${this.host}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').replace(/\?.*/, '');
    response.on('finish', () => this.seen.push({ path, headers: request.headers, status: response.statusCode }));
    const answer = this.files.get(path);
    if (answer === undefined) {
      response.writeHead(404).end('nothing here');
      return;
    }
    if (typeof answer === 'function') {
      answer(request, response);
      return;
    }
    const etag = `"${createHash('sha256').update(answer.body).digest('hex').slice(0, 16)}"`;
    const headers = { etag, ...answer.headers };
    if (request.headers['if-none-match'] === headers.etag) {
      response.writeHead(304, headers).end();
      return;
    }
    this.sentBytes += Buffer.byteLength(answer.body);
    response.writeHead(answer.status ?? 200, headers).end(answer.body);
  }
}
