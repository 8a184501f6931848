import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request as send, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as listenTo, isIP, type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Egress, type EgressPolicy, type HostLookup, lookupBySystem } from '#registry';
import { messageOf } from '#std';

export interface EgressProxyOptions {
  readonly egress: EgressPolicy;
  /** name resolution; the system's by default */
  readonly lookup?: HostLookup | undefined;
}

/** One program's way out. */
export interface ProxySession extends Disposable {
  /** with name and password, which no other program has */
  readonly url: string;
  /** hosts with ports that it was kept from */
  readonly refused: ReadonlySet<string>;
}

/** A way to one place, for programs that speak to no proxy. */
export interface Tunnel extends AsyncDisposable {
  /** on loopback */
  readonly port: number;
  /** its host with its port, when the rules keep everyone from it */
  readonly refused: ReadonlySet<string>;
  /** why there was no connection onward, the last time that there was none */
  readonly failure: string | undefined;
}

interface Session {
  readonly refused: Set<string>;
  readonly sockets: Set<Duplex>;
}

const CHALLENGE = 'Basic realm="kiln"';
const CONNECT_TIMEOUT_MS = 10_000;
/** git makes one after the other. */
const TUNNEL_CONNECTIONS = 4;
const IDLE_TIMEOUT_MS = 120_000;
/** They are the connection's own: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const hopByHop = new Set(['connection', 'proxy-connection', 'proxy-authorization', 'keep-alive', 'te', 'upgrade']);

/**
 * An HTTP proxy on loopback for programs that are not to be trusted with a network: it resolves names itself, judges every
 * connection by the egress rules, and connects to the very address that it judged.
 */
export class EgressProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #egress: Egress;
  readonly #lookup: HostLookup;
  readonly #sessions = new Map<string, Session>();

  private constructor({ egress, lookup = lookupBySystem }: EgressProxyOptions) {
    this.#egress = new Egress(egress);
    this.#lookup = lookup;
    this.#server = createServer((request, response) => void this.#forward(request, response));
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      void this.#tunnel(request, socket, head);
    });
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  static async start(options: EgressProxyOptions): Promise<EgressProxy> {
    const proxy = new EgressProxy(options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    // It ends with the process, and holds it up never.
    proxy.#server.unref();
    return proxy;
  }

  /** What goes through a session ends with it. */
  open(): ProxySession {
    const password = randomBytes(16).toString('hex');
    const session: Session = { refused: new Set(), sockets: new Set() };
    this.#sessions.set(password, session);
    const { port } = this.#server.address() as AddressInfo;
    return {
      url: `http://kiln:${password}@127.0.0.1:${port}`,
      refused: session.refused,
      [Symbol.dispose]: () => {
        this.#sessions.delete(password);
        for (const socket of session.sockets) socket.destroy();
      },
    };
  }

  /** Whoever comes to the port is led to one place, judged anew each time, and to no other. */
  async tunnel(host: string, port: number): Promise<Tunnel> {
    const session: Session = { refused: new Set(), sockets: new Set() };
    let failure: string | undefined;
    const server = listenTo((client) => {
      track(session, client);
      const through = async (): Promise<void> => join(client, await this.#connect(session, host, port));
      through().catch((thrown: unknown) => {
        failure = messageOf(thrown);
        client.destroy();
      });
    });
    server.maxConnections = TUNNEL_CONNECTIONS;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      port: (server.address() as AddressInfo).port,
      refused: session.refused,
      get failure() {
        return failure;
      },
      async [Symbol.asyncDispose]() {
        for (const socket of session.sockets) socket.destroy();
        server.close();
        await once(server, 'close');
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #tunnel(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on('error', () => client.destroy());
    const session = this.#sessionOf(request);
    const target = URL.canParse(`http://${request.url}`) ? new URL(`http://${request.url}`) : undefined;
    if (session === undefined || target === undefined) {
      return void client.end(`HTTP/1.1 407 Refused\r\nproxy-authenticate: ${CHALLENGE}\r\ncontent-length: 0\r\n\r\n`);
    }
    const port = Number(target.port || 80);
    track(session, client);
    try {
      const server = await this.#connect(session, target.hostname, port);
      client.write('HTTP/1.1 200 Connected\r\n\r\n');
      server.write(head);
      join(client, server);
    } catch (thrown) {
      const status = thrown instanceof Forbidden ? '403 Forbidden' : '502 Unreachable';
      client.end(`HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\n\r\n${messageOf(thrown)}\n`);
    }
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = this.#sessionOf(request);
    const target = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : undefined;
    if (session === undefined || target?.protocol !== 'http:') {
      return void response.writeHead(407, { 'proxy-authenticate': CHALLENGE }).end();
    }
    track(session, request.socket);
    const port = Number(target.port || 80);
    try {
      this.#checkLiteral(session, target.hostname, port);
      const headers = Object.entries(request.headers).filter(([name]) => !hopByHop.has(name));
      const onward = send({
        host: bare(target.hostname),
        port,
        method: request.method,
        path: `${target.pathname}${target.search}`,
        headers: Object.fromEntries(headers),
        lookup: this.#guarded(session, port),
        agent: false,
        timeout: IDLE_TIMEOUT_MS,
      });
      onward.on('socket', (socket) => track(session, socket));
      onward.on('timeout', () => onward.destroy(new Error('no answer in time')));
      request.on('error', () => onward.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
      const [answer] = (await once(onward, 'response')) as [IncomingMessage];
      onward.on('error', () => response.destroy());
      answer.on('error', () => response.destroy());
      const back = Object.entries(answer.headers).filter(([name]) => !hopByHop.has(name));
      response.writeHead(answer.statusCode ?? 502, Object.fromEntries(back));
      answer.pipe(response);
    } catch (thrown) {
      if (response.headersSent) response.destroy();
      else response.writeHead(thrown instanceof Forbidden ? 403 : 502).end(`${messageOf(thrown)}\n`);
    }
  }

  async #connect(session: Session, hostname: string, port: number): Promise<Socket> {
    this.#checkLiteral(session, hostname, port);
    const server = connect({ host: bare(hostname), port, lookup: this.#guarded(session, port) });
    track(session, server);
    server.setTimeout(CONNECT_TIMEOUT_MS, () => server.destroy(new Error('no connection in time')));
    await once(server, 'connect');
    server.setTimeout(IDLE_TIMEOUT_MS, () => server.destroy());
    return server;
  }

  #sessionOf({ headers }: IncomingMessage): Session | undefined {
    const given = /^Basic (.+)$/i.exec(headers['proxy-authorization'] ?? '')?.[1] ?? '';
    const [name, password = ''] = Buffer.from(given, 'base64').toString().split(':');
    const bytes = Buffer.from(password);
    const known = [...this.#sessions.keys()].find(
      (each) => each.length === bytes.length && timingSafeEqual(Buffer.from(each), bytes),
    );
    return name === 'kiln' && known !== undefined ? this.#sessions.get(known) : undefined;
  }

  /** Literal addresses are never looked up. */
  #checkLiteral(session: Session, hostname: string, port: number): void {
    const host = bare(hostname);
    if (isIP(host) !== 0 && !this.#egress.allows(host, port, host)) throw refuse(session, hostname, port);
  }

  #guarded(session: Session, port: number): LookupFunction {
    return (hostname, options, callback) => {
      const answer = async (): Promise<void> => {
        const found = await this.#lookup(hostname);
        const kept = found.filter(({ address }) => this.#egress.allows(hostname, port, address));
        const first = kept[0];
        if (found.length > 0 && first === undefined) throw refuse(session, hostname, port);
        if (first === undefined) throw Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
        if (options.all === true) callback(null, kept);
        else callback(null, first.address, first.family);
      };
      answer().catch((thrown: unknown) =>
        callback(thrown instanceof Error ? thrown : new Error(messageOf(thrown)), []),
      );
    };
  }
}

class Forbidden extends Error {}

function refuse(session: Session, hostname: string, port: number): Forbidden {
  session.refused.add(`${hostname}:${port}`);
  return new Forbidden(`${hostname}:${port} is at a loopback or private address`);
}

/** Each ends with the other. */
function join(client: Duplex, server: Socket): void {
  server.on('error', () => client.destroy());
  client.on('close', () => server.destroy());
  server.on('close', () => client.destroy());
  if (client.destroyed) server.destroy();
  server.pipe(client).pipe(server);
}

function track({ sockets }: Session, socket: Duplex | Socket): void {
  if (sockets.has(socket)) return;
  sockets.add(socket);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => sockets.delete(socket));
}

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '');
