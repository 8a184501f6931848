import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { tarOf } from '#testing';

/** Of what the server says when it was changed: 2020-09-13 12:26:40 UTC. */
const LAST_MODIFIED = 'Sun, 13 Sep 2020 12:26:40 GMT';

/**
 * What ADD of a URL asks for: `/hello.txt`, `/sub/dir/` (named by Content-Disposition), `/moved` (goes to hello.txt),
 * `/undated`, `/a.tar`; all else is not found.
 */
export async function serveFiles(address: string): Promise<AsyncDisposable> {
  const archive = await tarOf({ name: 'packed', text: 'packed\n', mode: 0o640, uid: 3, gid: 4 });
  const [host, port] = address.split(':');
  const dated = { 'last-modified': LAST_MODIFIED };
  const server = createServer(({ url }, response) => {
    switch (url) {
      case '/hello.txt':
        return answer(response, 200, 'hello\n', dated);
      case '/undated':
        return answer(response, 200, 'undated\n', {});
      case '/a.tar':
        return answer(response, 200, archive, dated);
      case '/sub/dir/':
        return answer(response, 200, 'named\n', {
          ...dated,
          'content-disposition': 'attachment; filename="named.txt"',
        });
      case '/moved':
        return answer(response, 302, '', { location: '/hello.txt' });
      default:
        return answer(response, 404, 'no such file\n', {});
    }
  }).listen(Number(port), host);
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answer(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}
