import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { type Digest, digestOf } from '#oci';
import { collect, KilnError } from '#std';
import { refuse, send } from './fault-answers.ts';
import { FaultUploads } from './fault-uploads.ts';

/** What a client asked. */
export interface Recorded {
  readonly method: string;
  /** with the query */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Respond = (response: ServerResponse, request: Recorded) => void;

export type FaultAuth =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'bearer';
      /** of a person; anybody gets a token without */
      readonly user?: { readonly username: string; readonly password: string } | undefined;
      readonly identityToken?: string | undefined;
      readonly expiresInS?: number | undefined;
      /** where tokens are said to come from; the registry itself by default */
      readonly realm?: string | undefined;
      /** scopes that are never granted */
      readonly withhold?: readonly string[] | undefined;
    };

interface Fault {
  left: number;
  readonly matches: (request: Recorded) => boolean;
  readonly respond: Respond;
}

const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

/** A registry in memory that does as it is told: challenges, redirects, broken transfers, whatever a real one does on a bad day. */
export class FaultRegistry implements AsyncDisposable {
  readonly requests: Recorded[] = [];
  /** by `repository@digest` */
  readonly blobs = new Map<string, Buffer>();
  /** by `repository:tag` and `repository@digest` */
  readonly manifests = new Map<string, { readonly mediaType: string; readonly bytes: Buffer }>();
  readonly #uploads = new FaultUploads();
  auth: FaultAuth = { kind: 'none' };
  /** whether Location is an absolute address */
  absoluteLocations = false;
  readonly #faults: Fault[] = [];
  readonly #tokens = new Map<string, readonly string[]>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FaultRegistry> {
    const server = createServer();
    const registry = new FaultRegistry(server);
    server.on('request', (request, response) => {
      registry
        .#serve(request, response)
        .catch((thrown: unknown) => response.destroy(thrown instanceof Error ? thrown : undefined));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return registry;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new KilnError('INTERNAL', 'the server does not listen');
    return address.port;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** The next `times` requests that match are answered by `respond`. */
  fault(matches: (request: Recorded) => boolean, respond: Respond, times = 1): void {
    this.#faults.push({ left: times, matches, respond });
  }

  addBlob(repository: string, bytes: Uint8Array): Digest {
    const digest = digestOf(bytes);
    this.blobs.set(`${repository}@${digest}`, Buffer.from(bytes));
    return digest;
  }

  addManifest(repository: string, tag: string | null, mediaType: string, bytes: Uint8Array): Digest {
    const digest = digestOf(bytes);
    const stored = { mediaType, bytes: Buffer.from(bytes) };
    this.manifests.set(`${repository}@${digest}`, stored);
    if (tag !== null) this.manifests.set(`${repository}:${tag}`, stored);
    return digest;
  }

  /** bytes of uploads that are under way, by path */
  get uploads(): Map<string, Buffer> {
    return this.#uploads.received;
  }

  /** What it wants of a chunk at least, from now on. */
  set chunkMinBytes(bytes: number) {
    this.#uploads.chunkMinBytes = bytes;
  }

  /** Bytes of an upload that came before its connection broke. */
  receivePart(path: string, bytes: Uint8Array): void {
    this.#uploads.receivePart(new URL(path, this.url).pathname, bytes);
  }

  /** Forgets the tokens that it gave. */
  revokeTokens(): void {
    this.#tokens.clear();
  }

  get #base(): string {
    return this.absoluteLocations ? this.url : '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await collect(incoming, BODY_LIMIT_BYTES);
    const request = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers, body };
    this.requests.push(request);
    const fault = this.#faults.find(({ left, matches }) => left > 0 && matches(request));
    if (fault !== undefined) {
      fault.left--;
      fault.respond(response, request);
      return;
    }
    const url = new URL(request.path, this.url);
    if (url.pathname === '/token') this.#giveToken(request, url, response);
    else if (this.#permits(request, url, response)) this.#answer(request, url, response);
  }

  #giveToken({ method, headers, body }: Recorded, url: URL, response: ServerResponse): void {
    if (this.auth.kind !== 'bearer') return refuse(response, 404, 'UNSUPPORTED');
    const { user, identityToken, expiresInS, withhold = [] } = this.auth;
    const form = new URLSearchParams(body.toString());
    const known =
      method === 'POST'
        ? form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identityToken
        : user === undefined || headers.authorization === basic(user);
    if (!known) return refuse(response, 401, 'UNAUTHORIZED');
    const asked = method === 'POST' ? (form.get('scope') ?? '').split(' ') : url.searchParams.getAll('scope');
    const token = `token-${this.#tokens.size + 1}-${Math.random().toString(36).slice(2)}`;
    this.#tokens.set(
      token,
      asked.filter((scope) => !withhold.includes(scope)),
    );
    send(response, 200, { [method === 'POST' ? 'access_token' : 'token']: token, expires_in: expiresInS ?? 300 });
  }

  #permits({ method, headers }: Recorded, url: URL, response: ServerResponse): boolean {
    const { auth } = this;
    if (auth.kind === 'none') return true;
    if (auth.kind === 'basic') {
      if (headers.authorization === basic(auth)) return true;
      response.setHeader('www-authenticate', 'Basic realm="fault"');
    } else {
      const granted = this.#tokens.get(headers.authorization?.replace('Bearer ', '') ?? '') ?? [];
      const may = (repository: string, action: string): boolean =>
        granted.some(
          (scope) => scope.startsWith(`repository:${repository}:`) && scope.split(':')[2]?.split(',').includes(action),
        );
      const [, repository = ''] = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(url.pathname) ?? [];
      const from = url.searchParams.get('from');
      const reads = method === 'GET' || method === 'HEAD';
      if (may(repository, reads ? 'pull' : 'push') && (from === null || may(from, 'pull'))) return true;
      const realm = auth.realm ?? `${this.url}/token`;
      response.setHeader(
        'www-authenticate',
        `Bearer realm="${realm}",service="fault",scope="repository:${repository}:pull"`,
      );
    }
    refuse(response, 401, 'UNAUTHORIZED');
    return false;
  }

  #answer(request: Recorded, url: URL, response: ServerResponse): void {
    const [, repository = '', kind = '', name = ''] = /^\/v2\/(.+)\/(blobs|manifests)\/(.+)$/.exec(url.pathname) ?? [];
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (kind === 'manifests' && reads) {
      const found = this.manifests.get(name.startsWith('sha256:') ? `${repository}@${name}` : `${repository}:${name}`);
      if (found === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN');
      response.setHeader('content-type', found.mediaType);
      response.setHeader('docker-content-digest', digestOf(found.bytes));
      serveBytes(request, response, found.bytes);
    } else if (kind === 'manifests') {
      const mediaType = request.headers['content-type'] ?? '';
      this.addManifest(repository, name.startsWith('sha256:') ? null : name, mediaType, request.body);
      send(response, 201, {});
    } else if (name.startsWith('uploads/') && request.method !== 'POST') {
      this.#uploads.continue(request, url, this.#base, response, (bytes) => this.addBlob(repository, bytes));
    } else if (reads) {
      const found = this.blobs.get(`${repository}@${name}`);
      if (found === undefined) return refuse(response, 404, 'BLOB_UNKNOWN');
      serveBytes(request, response, found);
    } else this.#begin(repository, url, response);
  }

  #begin(repository: string, url: URL, response: ServerResponse): void {
    const mounted = this.blobs.get(`${url.searchParams.get('from')}@${url.searchParams.get('mount')}`);
    if (mounted === undefined) return this.#uploads.begin(repository, this.#base, response);
    this.addBlob(repository, mounted);
    send(response, 201, {});
  }
}

const basic = ({ username, password }: { readonly username: string; readonly password: string }): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

function serveBytes({ method, headers }: Recorded, response: ServerResponse, bytes: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  const part = bytes.subarray(from);
  if (headers.range !== undefined)
    response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
  response.writeHead(headers.range === undefined ? 200 : 206, { 'content-length': part.length });
  response.end(method === 'HEAD' ? undefined : part);
}
