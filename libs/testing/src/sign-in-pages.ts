import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { JWTPayload } from 'jose';
import type { SignOptions } from './oidc-issuer.ts';
import type { WebServer } from './web-server.ts';

/** Who says yes, and what the issuer then says of him. */
export interface Visitor {
  readonly claims: JWTPayload;
  readonly sign?: SignOptions;
  /** told where it is asked for alone, not in the id token */
  readonly userInfo?: object;
}

type Sign = (claims: JWTPayload, options?: SignOptions) => Promise<string>;
interface Given extends Visitor {
  readonly asked: URLSearchParams;
}

/** The authorization code flow of an issuer with one client, `kiln`, whose secret is `s3cret`; everybody says yes. */
export class SignInPages {
  readonly #web: WebServer;
  readonly #sign: Sign;
  readonly #codes = new Map<string, Given>();
  readonly #info = new Map<string, object>();
  #made = 0;
  /** what becomes of id tokens on their way */
  replace: ((token: string) => string) | undefined;
  /** whoever comes by a browser */
  visitor: Visitor = { claims: { sub: 'ada-1', email: 'Ada@example.com', email_verified: true } };

  constructor(web: WebServer, sign: Sign) {
    this.#web = web;
    this.#sign = sign;
    web.files.set('/authorize', (request, response) => {
      const to = this.approve(new URL(request.url ?? '', `http://${web.host}`), this.visitor);
      response.writeHead(302, { location: to.href }).end();
    });
    web.files.set('/end', (request, response) => {
      const { searchParams: asked } = new URL(request.url ?? '', `http://${web.host}`);
      response.writeHead(302, { location: asked.get('post_logout_redirect_uri') ?? '' }).end();
    });
    web.files.set('/token', (request, response) => void this.#exchange(request, response));
    web.files.set('/userinfo', ({ headers }, response) => {
      const info = this.#info.get((headers.authorization ?? '').replace(/^Bearer /, ''));
      answer(response, info === undefined ? 401 : 200, info ?? { error: 'invalid_token' });
    });
  }

  get addresses() {
    return {
      authorization_endpoint: this.#web.url('/authorize'),
      token_endpoint: this.#web.url('/token'),
      userinfo_endpoint: this.#web.url('/userinfo'),
      end_session_endpoint: this.#web.url('/end'),
    };
  }

  /** Where a browser is sent back to that came to `asked`. */
  approve({ searchParams: asked }: URL, visitor: Visitor): URL {
    const code = `code-${this.#made++}`;
    this.#codes.set(code, { ...visitor, asked });
    const to = new URL(asked.get('redirect_uri') ?? '');
    to.search = new URLSearchParams({ code, state: asked.get('state') ?? '' }).toString();
    return to;
  }

  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = new URLSearchParams(await text(request));
    const code = sent.get('code') ?? '';
    const given = this.#codes.get(code);
    this.#codes.delete(code);
    const client = `Basic ${Buffer.from('kiln:s3cret').toString('base64')}`;
    if (request.headers.authorization !== client) return answer(response, 401, { error: 'invalid_client' });
    const challenge = createHash('sha256')
      .update(sent.get('code_verifier') ?? '')
      .digest('base64url');
    const holds =
      given?.asked.get('code_challenge') === challenge &&
      given.asked.get('code_challenge_method') === 'S256' &&
      given.asked.get('redirect_uri') === sent.get('redirect_uri');
    if (given === undefined || !holds) return answer(response, 400, { error: 'invalid_grant' });
    const access_token = `access-${code}`;
    this.#info.set(access_token, { sub: given.claims.sub, ...given.userInfo });
    const id_token = await this.#sign({ aud: 'kiln', nonce: given.asked.get('nonce'), ...given.claims }, given.sign);
    const sentToken = this.replace?.(id_token) ?? id_token;
    answer(response, 200, { access_token, token_type: 'Bearer', expires_in: 60, id_token: sentToken });
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
