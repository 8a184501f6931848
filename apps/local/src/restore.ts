import { once } from 'node:events';
import { parseStoreLocation } from '#content';
import { jsonLogger, KilnError, systemClock, systemRandom } from '#std';
import { adminProgram } from './admin.ts';
import { Child, type ChildSpec } from './child.ts';
import type { LocalConfig } from './config.ts';
import { type Controlled, listen } from './control.ts';
import { ensureIdentity, readIdentity } from './identity.ts';
import { clearOpen, makeLayout } from './layout.ts';
import { type FarmParts, postgres, redis } from './services.ts';

const KEY = /^[0-9a-f]{64}$/;
const clock = systemClock;
const logger = jsonLogger(
  (line) => process.stderr.write(line),
  () => clock.nowMs(),
);

const restoring = (): Promise<never> => Promise.reject(new KilnError('UNAVAILABLE', 'a farm is being restored here'));
const busy: Controlled = { status: restoring, setBuilders: restoring, down: restoring };

/**
 * Restores a backup into a data directory in which no farm runs: with Postgres and Redis alone, which end again.
 * @returns the exit code of the admin program
 * @throws KilnError CONFLICT when the farm runs
 */
export async function runRestore(dataDir: string, args: readonly string[], config: LocalConfig): Promise<number> {
  const { secretKey, objectStore } = config.restored;
  if (secretKey !== undefined && !KEY.test(secretKey))
    throw new KilnError('INVALID_ARGUMENT', 'KILN_SECRET_KEY is not 64 hexadecimal digits');
  if (objectStore !== undefined) parseStoreLocation(objectStore);
  const layout = await makeLayout(dataDir);
  let token: string | undefined;
  const server = await listen(layout.id, () => token, busy);
  if (server === undefined)
    throw new KilnError('CONFLICT', `the farm of ${layout.data} runs`, {
      hint: 'kiln down ends it; a backup is restored into a new data directory',
    });
  try {
    if ((await readIdentity(layout.data)) === undefined) await clearOpen(layout);
    const identity = await ensureIdentity(layout.data, systemRandom, { secretKey, objectStore });
    token = identity.token;
    return await withServices({ layout, identity, ...config }, (parts) => adminProgram(parts, args));
  } finally {
    server.close();
    await once(server, 'close');
  }
}

async function withServices<T>(parts: FarmParts, work: (parts: FarmParts) => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  await using stack = new AsyncDisposableStack();
  const start = async (spec: ChildSpec): Promise<void> => {
    const child = new Child(spec, { clock, logger });
    stack.defer(() => child.stop());
    await child.start();
  };
  await start(await postgres(parts, stopping.signal));
  await start(await redis(parts));
  return await work(parts);
}
