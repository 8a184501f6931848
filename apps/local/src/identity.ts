import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Random, randomId } from '#std';
import { z } from 'zod';
import { readPrivate, writePrivate } from './private-file.ts';

/** What a farm is known by from start to start: its passwords, its token, its ports. */
const Identity = z.object({
  postgresPassword: z.string(),
  redisPassword: z.string(),
  /** seals registry credentials */
  secretKey: z.string(),
  registrySecret: z.string(),
  /** of the project `default`, scope `main`; also opens the supervisor's control socket */
  token: z.string(),
  /** where blobs are, when that is not the data directory */
  objectStore: z.string().optional(),
  ports: z.object({ postgres: z.int(), redis: z.int(), registry: z.int(), mirror: z.int(), api: z.int() }),
});
export type Identity = z.infer<typeof Identity>;

const SECRET_LENGTH = 40;

export function readIdentity(dataDir: string): Promise<Identity | undefined> {
  return readPrivate(join(dataDir, 'identity.json'), Identity);
}

/**
 * The farm's identity, drawn at the first start; a port that another process took meanwhile is replaced, and so is the object
 * store where another one is asked for.
 * @param given a secret key is that of a farm that is restored here
 */
export async function ensureIdentity(
  dataDir: string,
  random: Random,
  given: { readonly objectStore?: string | undefined; readonly secretKey?: string | undefined } = {},
): Promise<Identity> {
  const { objectStore, secretKey } = given;
  const known = await readIdentity(dataDir);
  const secret = (): string => randomId(random, SECRET_LENGTH);
  const ports = known?.ports;
  const taken = new Set<number>();
  const store = objectStore ?? known?.objectStore;
  const identity = {
    ...(store === undefined ? {} : { objectStore: store }),
    postgresPassword: known?.postgresPassword ?? secret(),
    redisPassword: known?.redisPassword ?? secret(),
    secretKey: known?.secretKey ?? secretKey ?? Buffer.from(random(32)).toString('hex'),
    registrySecret: known?.registrySecret ?? secret(),
    token: known?.token ?? `kiln_${secret()}`,
    ports: {
      registry: await choosePort(ports?.registry ?? 5000, taken),
      api: await choosePort(ports?.api ?? 8420, taken),
      postgres: await choosePort(ports?.postgres ?? 0, taken),
      redis: await choosePort(ports?.redis ?? 0, taken),
      mirror: await choosePort(ports?.mirror ?? 0, taken),
    },
  };
  await writePrivate(join(dataDir, 'identity.json'), `${JSON.stringify(identity, null, 2)}\n`);
  return identity;
}

/** The wanted port of loopback if it is free, else any. */
async function choosePort(wanted: number, taken: Set<number>): Promise<number> {
  for (const port of [wanted, 0, 0, 0]) {
    const free = await tryPort(port);
    if (free === undefined || taken.has(free)) continue;
    taken.add(free);
    return free;
  }
  throw new Error('no free port on 127.0.0.1');
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const found = address === null || typeof address === 'string' ? undefined : address.port;
      server.close(() => resolve(found));
    });
  });
}
