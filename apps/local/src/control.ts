import { createServer, request, type Server } from 'node:http';
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { KilnError, messageOf, systemCode } from '#std';
import { z } from 'zod';

/** What a builder runs steps for, once it has said so: as they are, and by emulation. */
export const BuilderPlatforms = z.object({
  platforms: z.array(z.string()).default([]),
  emulated: z.array(z.string()).default([]),
});

/** What `kiln status --json` prints. */
export const FarmStatus = z.object({
  api: z.object({ url: z.string(), pid: z.int().nullable() }),
  registry: z.object({ address: z.string() }),
  builders: z.array(
    z.object({ id: z.string(), pid: z.int().nullable(), state: z.string(), ...BuilderPlatforms.shape }),
  ),
  services: z.object({
    postgres: z.object({ port: z.int(), pid: z.int().nullable() }),
    redis: z.object({ port: z.int(), pid: z.int().nullable() }),
  }),
  /** a folder or s3://… */
  objectStore: z.string(),
  data: z.string(),
});
export type FarmStatus = z.infer<typeof FarmStatus>;

/** What a running farm does when it is asked. */
export interface Controlled {
  status(): Promise<FarmStatus>;
  setBuilders(count: number): Promise<void>;
  down(): Promise<void>;
}

/**
 * The name of a farm's control socket. It lies in no directory, so that it goes with its process, and only one process can
 * have it: it is the lock on the farm too.
 */
const socketOf = (farmId: string): string => `\0kiln-farm-${farmId}`;

/** Takes the lock and listens; undefined when another supervisor has it. */
export async function listen(
  farmId: string,
  token: () => string | undefined,
  farm: Controlled,
): Promise<Server | undefined> {
  const server = createServer((incoming, answer) => {
    const end = (status: number, body: unknown): void => {
      answer.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
    };
    const known = token();
    if (known === undefined || !same(incoming.headers.authorization ?? '', `Bearer ${known}`)) {
      end(401, { message: 'wrong token' });
      return;
    }
    dispatch(farm, incoming.method ?? '', incoming.url ?? '').then(
      (body) => end(200, body),
      (error: unknown) => end(500, { message: messageOf(error) }),
    );
  });
  server.listen({ path: socketOf(farmId) });
  try {
    await once(server, 'listening');
    return server;
  } catch (thrown) {
    if (systemCode(thrown) === 'EADDRINUSE') return undefined;
    throw thrown;
  }
}

async function dispatch(farm: Controlled, method: string, url: string): Promise<unknown> {
  const builders = /^\/builders\/(\d{1,3})$/.exec(url)?.[1];
  if (method === 'GET' && url === '/status') return await farm.status();
  if (method === 'POST' && builders !== undefined) return await farm.setBuilders(Number(builders)).then(() => ({}));
  if (method === 'POST' && url === '/down') return await farm.down().then(() => ({}));
  throw new KilnError('NOT_FOUND', `no ${method} ${url}`);
}

/**
 * Asks the farm's supervisor; undefined when none runs.
 * @throws KilnError UNAVAILABLE with what it says
 */
export async function ask(farmId: string, token: string, method: string, path: string): Promise<unknown> {
  const answered = Promise.withResolvers<{ status: number; body: string } | undefined>();
  const asking = request({
    socketPath: socketOf(farmId),
    method,
    path,
    headers: { authorization: `Bearer ${token}`, connection: 'close' },
  });
  asking.on('error', (error) => {
    if (systemCode(error) === 'ECONNREFUSED' || systemCode(error) === 'ENOENT') answered.resolve(undefined);
    else
      answered.reject(
        new KilnError('UNAVAILABLE', `the farm’s supervisor went away: ${error.message}`, { cause: error }),
      );
  });
  asking.on('response', (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => (body += text));
    response.on('end', () => answered.resolve({ status: response.statusCode ?? 0, body }));
    response.on('error', answered.reject);
  });
  asking.end();
  const answer = await answered.promise;
  if (answer === undefined) return undefined;
  const body: unknown = JSON.parse(answer.body);
  if (answer.status === 200) return body;
  throw new KilnError('UNAVAILABLE', z.object({ message: z.string() }).parse(body).message);
}

const same = (given: string, wanted: string): boolean => {
  const [a, b] = [given, wanted].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
};
