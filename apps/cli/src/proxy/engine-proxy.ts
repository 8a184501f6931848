import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Answer, Forwarded } from '#client';
import { enginePath } from '#protocol';
import { isKilnError, messageOf } from '#std';

export interface EngineProxyOptions {
  readonly farm: { forward(request: Forwarded): Promise<Answer> };
  /** names that requests may have in their Host; undefined where no other program can be meant: a socket in the file system */
  readonly hosts: ReadonlySet<string> | undefined;
  readonly note: (line: string) => void;
}

/** Of one connection alone. https://www.rfc-editor.org/rfc/rfc9110#name-connection */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'] as const;

/**
 * The farm as a Docker engine on this machine: requests of docker's clients go on with the farm's token, and nothing else does.
 * A page in a browser is no docker client: neither by its Origin nor by a name that was made to lead here does it get the token.
 */
export function engineProxy(options: EngineProxyOptions): Server {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((thrown: unknown) => {
      if (!response.destroyed) options.note(`a request broke off: ${messageOf(thrown)}`);
      response.destroy();
    });
  });
  // A client that hijacks connections (docker build with BuildKit) is told so in words.
  server.on('upgrade', (request, socket) => {
    const body = JSON.stringify({ message: `${request.url ?? ''} is not spoken here: set DOCKER_BUILDKIT=0` });
    socket.end(
      `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  });
  // A build may say nothing for hours.
  server.requestTimeout = 0;
  return server;
}

async function answer(
  { farm, hosts }: EngineProxyOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refused = refusal(request, hosts);
  if (refused !== undefined) return tell(response, refused.status, refused.message);
  const method = methods.find((known) => known === request.method);
  const { url: path = '/' } = request;
  if (method === undefined || !isPlain(path) || enginePath(method, path) === undefined)
    return tell(response, 404, `${request.method ?? ''} ${path} is none of Docker's Engine API`);
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the client is gone')));
  const bare = method === 'GET' || method === 'HEAD';
  let given: Answer;
  try {
    const headers = passedOn(request.headers);
    given = await farm.forward({ method, path, headers, ...(bare ? {} : { body: request }), signal: gone.signal });
  } catch (thrown) {
    if (gone.signal.aborted) return;
    if (!isKilnError(thrown)) throw thrown;
    request.resume();
    return tell(response, 502, thrown.hint === undefined ? thrown.message : `${thrown.message} (${thrown.hint})`);
  }
  response.writeHead(
    given.status,
    Object.fromEntries(Object.entries(given.headers).filter(([name]) => !hopByHop.has(name))),
  );
  await pipeline(given.body, response);
}

/** What is forwarded is what was judged: a path that a URL makes another one of, by dots, would lead elsewhere. */
function isPlain(path: string): boolean {
  const url = URL.parse(path, 'http://farm');
  return url !== null && url.origin === 'http://farm' && url.pathname + url.search === path;
}

/** The token is the proxy's own, and so is the way. */
function passedOn(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const own = new Set([...hopByHop, 'host', 'authorization', 'cookie', 'expect']);
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined || own.has(name) ? [] : [[name, value]])),
  );
}

function refusal(
  { headers }: IncomingMessage,
  hosts: ReadonlySet<string> | undefined,
): { readonly status: number; readonly message: string } | undefined {
  if (headers.origin !== undefined || headers['sec-fetch-mode'] !== undefined)
    return { status: 403, message: 'this is for docker’s clients, not for pages in a browser' };
  const host = headers.host?.toLowerCase();
  if (hosts === undefined || (host !== undefined && hosts.has(host))) return undefined;
  return { status: 403, message: `no docker client asks for the host ${host ?? ''} here` };
}

function tell(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
}
