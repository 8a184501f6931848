import { createSign, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { collect } from '#std';
import type { Certificate } from './certificate.ts';

/** docker-registry takes a token for so much longer than it says. */
const LEEWAY_S = 60;

/**
 * Gives tokens as https://distribution.github.io/distribution/spec/auth/token/ says, to `ci` with the password `secret`, or for
 * the identity token `refresh-me`.
 */
export class TokenService implements AsyncDisposable {
  /** scopes that tokens were given for */
  readonly given: string[] = [];
  /** how long the registry takes a token */
  lifetimeS = 300;

  private constructor(
    readonly server: Server,
    readonly der: string,
    readonly key: string,
  ) {}

  static async start({ pem, key }: Certificate): Promise<TokenService> {
    const der = pem.replaceAll(/-----[A-Z ]+-----|\s/g, '');
    const server = createServer();
    const service = new TokenService(server, der, await readFile(key, 'utf8'));
    server.on('request', (request, response) => void service.#serve(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  get realm(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the token service does not listen');
    return `http://127.0.0.1:${address.port}/token`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams((await collect(request, 65_536)).toString());
    const query = new URL(request.url ?? '', this.realm).searchParams;
    const basic = `Basic ${Buffer.from('ci:secret').toString('base64')}`;
    const known =
      request.method === 'POST' ? form.get('refresh_token') === 'refresh-me' : request.headers.authorization === basic;
    if (!known) {
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end('{"details":"incorrect username or password"}');
      return;
    }
    const scopes = request.method === 'POST' ? (form.get('scope') ?? '').split(' ') : query.getAll('scope');
    this.given.push(...scopes);
    response
      .writeHead(200, { 'content-type': 'application/json' })
      // It says more than the registry grants: clients learn of the end by a 401.
      .end(JSON.stringify({ token: this.#token(scopes), expires_in: 300 }));
  }

  #token(scopes: readonly string[]): string {
    const nowS = Math.floor(Date.now() / 1000);
    const access = scopes.map((scope) => {
      const [type = '', name = '', actions = ''] = scope.split(':');
      return { type, name, actions: actions.split(',') };
    });
    const header = { typ: 'JWT', alg: 'RS256', x5c: [this.der] };
    const times = { exp: nowS + this.lifetimeS - LEEWAY_S, nbf: nowS - 600, iat: nowS - 600 };
    const claims = { iss: 'test', sub: 'ci', aud: 'registry', jti: randomUUID(), ...times, access };
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${createSign('RSA-SHA256').update(text).sign(this.key, 'base64url')}`;
  }
}
