import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BACKEND = '/usr/lib/git-core/git-http-backend';

/** A file's text, or where a link leads. */
export type GitFiles = Readonly<Record<string, string | { readonly link: string } | null>>;

/** Real git repositories behind a web server on loopback: by git's own protocol, or as plain files. */
export class GitServer implements AsyncDisposable {
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly seen: string[] = [];
  /** serve files alone, as every web server can */
  dumb = false;
  /** what has to come as Authorization */
  authorization: string | undefined;

  private constructor(readonly dir: string) {}

  static async start(): Promise<GitServer> {
    const server = new GitServer(await mkdtemp(join(tmpdir(), 'kiln-git-')));
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  url(name: string): string {
    return `http://${this.host}/${name}.git`;
  }

  /** Commits files to a branch of a repository, which is made where it is not there; null removes one. @returns the commit */
  async commit(name: string, files: GitFiles, { branch = 'main' } = {}): Promise<string> {
    const work = await this.#work(name, branch);
    for (const [path, content] of Object.entries(files)) {
      const target = join(work, path);
      await rm(target, { recursive: true, force: true });
      if (content === null) continue;
      await mkdir(dirname(target), { recursive: true });
      if (typeof content === 'string') await writeFile(target, content);
      else await symlink(content.link, target);
    }
    await this.git(name, 'add', '--all');
    return await this.publish(name, branch);
  }

  /** Commits what is in the index of a repository's checkout. */
  async publish(name: string, branch = 'main'): Promise<string> {
    await this.git(name, 'commit', '--quiet', '--allow-empty', '--message', 'change');
    await this.git(name, 'push', '--quiet', '--force', this.#bare(name), `HEAD:refs/heads/${branch}`);
    await run('git', ['-C', this.#bare(name), 'update-server-info']);
    return (await this.git(name, 'rev-parse', 'HEAD')).trim();
  }

  /** git in the checkout of a repository. */
  async git(name: string, ...args: readonly string[]): Promise<string> {
    const who = ['-c', 'user.name=Someone', '-c', 'user.email=someone@example.com', '-c', 'protocol.file.allow=always'];
    return (await run('git', [...who, '-C', join(this.dir, 'work', name), ...args])).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    await rm(this.dir, { recursive: true, force: true });
  }

  #bare(name: string): string {
    return join(this.dir, 'bare', `${name}.git`);
  }

  async #work(name: string, branch: string): Promise<string> {
    const work = join(this.dir, 'work', name);
    if ((await stat(work).catch(() => undefined)) === undefined) {
      await run('git', ['init', '--quiet', '--initial-branch', branch, work]);
      await run('git', ['init', '--quiet', '--bare', '--initial-branch', branch, this.#bare(name)]);
    }
    await this.git(name, 'checkout', '--quiet', '-B', branch);
    return work;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://git');
    this.seen.push(`${request.method} ${url.pathname}${url.search}`);
    if (this.authorization !== undefined && request.headers.authorization !== this.authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    } else if (this.dumb) this.#file(url.pathname, response);
    else await this.#backend(request, url, response);
  }

  #file(path: string, response: ServerResponse): void {
    const file = createReadStream(join(this.dir, 'bare', path));
    file.on('error', () => response.writeHead(404).end());
    file.on('open', () => file.pipe(response.writeHead(200)));
  }

  /** https://git-scm.com/docs/git-http-backend, by the rules of CGI (RFC 3875). */
  async #backend(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const { headers } = request;
    const child = spawn(BACKEND, {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: join(this.dir, 'bare'),
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: headers['content-type'],
        HTTP_CONTENT_ENCODING: headers['content-encoding'],
        GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      },
    });
    child.stdin.on('error', () => {});
    request.pipe(child.stdin);
    let head = Buffer.alloc(0);
    let begun = false;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      if (begun) {
        response.write(chunk);
        continue;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) continue;
      const lines = head.subarray(0, end).toString().split('\r\n');
      const fields = lines.map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      });
      const status = fields.find(([name]) => name === 'Status')?.[1] ?? '200';
      response.writeHead(Number.parseInt(status, 10), Object.fromEntries(fields.filter(([name]) => name !== 'Status')));
      response.write(head.subarray(end + 4));
      begun = true;
    }
    response.end();
  }
}
