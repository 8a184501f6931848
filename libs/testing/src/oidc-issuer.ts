import { exportJWK, exportSPKI, generateKeyPair, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';
import { SignInPages } from './sign-in-pages.ts';
import { WebServer } from './web-server.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

export interface SignOptions {
  readonly header?: Partial<JWTHeaderParameters>;
  /** a claim that is left out */
  readonly without?: string;
  /** names no key in its header */
  readonly nameless?: boolean;
  /** another than the issuer's */
  readonly key?: KeyPair['privateKey'] | Uint8Array;
}

/** Makes id tokens as CI systems do, tells its keys by discovery, and signs people in. */
export class OidcIssuer implements AsyncDisposable {
  readonly #web: WebServer;
  /** where people sign in */
  readonly pages: SignInPages;
  #kid = 0;
  #keys: KeyPair;

  private constructor(web: WebServer, keys: KeyPair) {
    this.#web = web;
    this.#keys = keys;
    this.pages = new SignInPages(web, (claims, options) => this.sign(claims, options));
  }

  static async start(): Promise<OidcIssuer> {
    const issuer = new OidcIssuer(await WebServer.start(), await generateKeyPair('RS256'));
    await issuer.#publish();
    return issuer;
  }

  get url(): string {
    return `http://${this.#web.host}`;
  }

  /** paths that were asked for */
  get asked(): readonly string[] {
    return this.#web.seen.map(({ path }) => path);
  }

  /** What it says of itself instead. */
  say(path: 'discovery' | 'keys', body: unknown): void {
    this.#web.files.set(path === 'keys' ? '/keys' : '/.well-known/openid-configuration', {
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
  }

  /** From now on another key, and the one before no more. */
  async rotate(alg = 'RS256'): Promise<void> {
    this.#keys = await generateKeyPair(alg);
    this.#kid++;
    await this.#publish(alg);
  }

  /** PEM of the public key. */
  async publicKey(): Promise<string> {
    return await exportSPKI(this.#keys.publicKey);
  }

  /** A token of five minutes; claims as given, whatever they are. */
  async sign(claims: JWTPayload, { header = {}, key, without, nameless = false }: SignOptions = {}): Promise<string> {
    const nowS = Math.floor(Date.now() / 1_000);
    const whole = { iss: this.url, sub: 'somebody', iat: nowS, nbf: nowS, exp: nowS + 300, ...claims };
    return await new SignJWT(Object.fromEntries(Object.entries(whole).filter(([name]) => name !== without)))
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(nameless ? {} : { kid: `k${this.#kid}` }), ...header })
      .sign(key ?? this.#keys.privateKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#web[Symbol.asyncDispose]();
  }

  async #publish(alg = 'RS256'): Promise<void> {
    const jwk = await exportJWK(this.#keys.publicKey);
    this.say('discovery', { issuer: this.url, jwks_uri: `${this.url}/keys`, ...this.pages.addresses });
    this.say('keys', { keys: [{ ...jwk, kid: `k${this.#kid}`, alg, use: 'sig' }] });
  }
}

/** What id tokens of each CI system say of a push to main, in short: names and forms are theirs. */
export const idTokenClaims = {
  github: {
    sub: 'repo:acme/web:ref:refs/heads/main',
    repository: 'acme/web',
    repository_owner: 'acme',
    repository_visibility: 'private',
    ref: 'refs/heads/main',
    ref_type: 'branch',
    ref_protected: 'true',
    event_name: 'push',
    job_workflow_ref: 'acme/web/.github/workflows/ci.yml@refs/heads/main',
    runner_environment: 'github-hosted',
  },
  gitlab: {
    sub: 'project_path:acme/web:ref_type:branch:ref:main',
    namespace_path: 'acme',
    project_id: '22',
    project_path: 'acme/web',
    job_project_path: 'acme/web',
    pipeline_source: 'push',
    ref: 'main',
    ref_type: 'branch',
    ref_path: 'refs/heads/main',
    ref_protected: 'true',
  },
  buildkite: {
    sub: 'organization:acme:pipeline:web:ref:refs/heads/main:commit:0f3a:step:build',
    organization_slug: 'acme',
    pipeline_slug: 'web',
    build_number: 7,
    build_branch: 'main',
    build_tag: null,
    build_commit: '0f3a',
    step_key: 'build',
    job_id: '0184',
    agent_id: '0185',
  },
  circleci: {
    sub: 'org/f1/project/a5/user/b3/vcs-origin/github.com/acme/web/vcs-ref/refs/heads/main',
    'oidc.circleci.com/project-id': 'a5',
    'oidc.circleci.com/context-ids': ['c1', 'c2'],
    'oidc.circleci.com/vcs-origin': 'github.com/acme/web',
    'oidc.circleci.com/vcs-ref': 'refs/heads/main',
    'oidc.circleci.com/ssh-rerun': false,
  },
} as const;
