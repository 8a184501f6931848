import { once } from 'node:events';
import { statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Clock, KilnError, type Logger, type Random } from '#std';
import { sweepCgroup } from './cgroup-sweep.ts';
import { Child, type ChildSpec } from './child.ts';
import { BuilderPlatforms, type Controlled, type FarmStatus, listen } from './control.ts';
import { ensureIdentity, readIdentity } from './identity.ts';
import { clearOpen, type FarmLayout, makeLayout } from './layout.ts';
import { writePrivate } from './private-file.ts';
import * as services from './services.ts';
import { ensureStandIns } from './stand-ins/index.ts';

export interface SupervisorOptions {
  readonly dataDir: string;
  readonly builders: number;
  /** s3://…; without, what it was before, at first a folder in the data directory */
  readonly objectStore?: string | undefined;
  /** of this user: stand-in base images */
  readonly cacheDir: string;
  readonly base: Readonly<Record<string, string>>;
  readonly caBundle: string | undefined;
  readonly settings: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly report: (message: string) => void;
}

/** All processes of one embedded farm, from start to end. */
export class Supervisor implements Controlled {
  readonly #options: SupervisorOptions;
  readonly #stopping = new AbortController();
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  /** in the order of their start */
  readonly #services: Child[] = [];
  readonly #builders = new Map<string, Child>();
  /** of the code that this farm runs, whatever is compiled later */
  readonly #compiledAtMs = compiledAtMs();
  #parts: services.FarmParts | undefined;
  #server: Server | undefined;
  #changing: Promise<void> = Promise.resolve();
  #down: Promise<void> | undefined;

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#started.promise.catch(() => undefined);
  }

  /** Takes the farm and starts it in the background; undefined when another supervisor has it. */
  static async take(options: SupervisorOptions): Promise<Supervisor | undefined> {
    const layout = await makeLayout(options.dataDir);
    const supervisor = new Supervisor(options);
    supervisor.#server = await listen(layout.id, () => supervisor.#parts?.identity.token, supervisor);
    if (supervisor.#server === undefined) return undefined;
    supervisor.#run(layout).then(supervisor.#started.resolve, supervisor.#started.reject);
    return supervisor;
  }

  /** Resolves when everything is ready. @throws KilnError UNAVAILABLE naming what is not */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves when nothing of the farm is left. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async status(): Promise<FarmStatus> {
    await this.started;
    const { identity, layout } = this.#known();
    const pidOf = (name: string): number | null => this.#services.find(({ spec }) => spec.name === name)?.pid ?? null;
    const builders = [...this.#builders].map(async ([id, child]) => {
      const pid = child.pid === undefined ? null : await services.builderPid(child.pid).catch(() => null);
      const { platforms, emulated } = BuilderPlatforms.catch({ platforms: [], emulated: [] }).parse(
        child.said.get('ready'),
      );
      return { id, pid, state: child.state, platforms, emulated };
    });
    return {
      api: { url: `http://127.0.0.1:${identity.ports.api}`, pid: pidOf('api') },
      registry: { address: `127.0.0.1:${identity.ports.registry}` },
      builders: await Promise.all(builders),
      services: {
        postgres: { port: identity.ports.postgres, pid: pidOf('postgres') },
        redis: { port: identity.ports.redis, pid: pidOf('redis') },
      },
      objectStore: services.objectStoreOf(this.#known()),
      data: layout.data,
    };
  }

  /** Starts builders or ends the last ones, until there are so many. One change at a time. */
  async setBuilders(count: number): Promise<void> {
    await this.started;
    await this.#change(count);
  }

  /** Ends everything, in the opposite order of the start. */
  down(): Promise<void> {
    this.#down ??= this.#end();
    return this.#down;
  }

  #change(count: number): Promise<void> {
    const changed = this.#changing.then(async () => {
      const surplus = [...this.#builders].slice(count);
      await Promise.all(surplus.map(([, child]) => child.drain()));
      for (const [id] of surplus) this.#builders.delete(id);
      const missing = Array.from({ length: count }, (_, index) => `builder-${index + 1}`).filter(
        (id) => !this.#builders.has(id),
      );
      await Promise.all(missing.map((id) => services.makeBuilderDir(this.#known(), id)));
      await Promise.all(missing.map((id) => this.#startBuilder(id)));
    });
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #run(layout: FarmLayout): Promise<void> {
    const { random, base, caBundle, settings, builders, objectStore, report, cacheDir } = this.#options;
    const { signal } = this.#stopping;
    report('preparing');
    await sweepCgroup(`/kiln/${layout.id}`);
    if ((await readIdentity(layout.data)) === undefined) await clearOpen(layout);
    const parts = {
      layout,
      identity: await ensureIdentity(layout.data, random, { objectStore }),
      base,
      caBundle,
      settings,
    };
    this.#parts = parts;
    const { ports, token } = parts.identity;
    const storage = join(layout.registry, 'storage');
    const own = { name: 'registry', port: ports.registry, storage, readonly: false };
    report('starting Postgres, Redis and the registry');
    const serve = this.#serveFor(parts);
    const [mirrored] = await Promise.all([
      ensureStandIns({ cacheDir, serve, signal, report }),
      services.postgres(parts, signal).then((spec) => this.#start(spec)),
      services.redis(parts).then((spec) => this.#start(spec)),
      services.registry(parts, own).then((spec) => this.#start(spec)),
    ]);
    const mirror = { name: 'mirror', port: ports.mirror, storage: mirrored, readonly: true };
    report('starting the API and the builders');
    await Promise.all([
      services.registry(parts, mirror).then((spec) => this.#start(spec)),
      services.prepareDatabase(parts, signal),
    ]);
    await Promise.all([this.#start(services.api(parts)), this.#change(builders)]);
    const farm = { url: `http://127.0.0.1:${ports.api}`, token, compiledAtMs: this.#compiledAtMs };
    await writePrivate(join(layout.data, 'farm.json'), `${JSON.stringify(farm)}\n`);
  }

  /** Serves a storage directory while stand-ins are made. */
  #serveFor(parts: services.FarmParts) {
    const { clock, logger } = this.#options;
    return async (storage: string) => {
      const port = await freePort();
      const spec = await services.registry(parts, { name: 'stand-ins', port, storage, readonly: false });
      const child = new Child(spec, { clock, logger });
      await child.start();
      return { host: `127.0.0.1:${port}`, [Symbol.asyncDispose]: () => child.stop() };
    };
  }

  async #start(spec: ChildSpec): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    const child = new Child(spec, this.#options);
    this.#services.push(child);
    await child.start();
  }

  async #startBuilder(id: string): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    const child = new Child(services.builder(this.#known(), id), this.#options);
    this.#builders.set(id, child);
    await child.start();
  }

  async #end(): Promise<void> {
    this.#stopping.abort(new KilnError('CANCELLED', 'the farm was asked to end'));
    // What is still starting has to be known before it can be ended.
    await Promise.allSettled([this.started, this.#changing]);
    await Promise.all([...this.#builders.values()].map((child) => child.stop()));
    for (const child of this.#services.toReversed()) await child.stop();
    if (this.#parts !== undefined) {
      await sweepCgroup(`/kiln/${this.#parts.layout.id}`);
      await rm(join(this.#parts.layout.data, 'farm.json'), { force: true });
    }
    this.#ended.resolve();
  }

  /** Gives the farm free for another supervisor. */
  async close(): Promise<void> {
    if (this.#server === undefined) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #known(): services.FarmParts {
    if (this.#parts === undefined) throw new KilnError('UNAVAILABLE', 'the farm is not there yet');
    return this.#parts;
  }
}

/** When this checkout was compiled; undefined where that is not known. */
function compiledAtMs(): number | undefined {
  return statSync(new URL('../../../../.kiln/build.stamp', import.meta.url), { throwIfNoEntry: false })?.mtimeMs;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new KilnError('INTERNAL', 'no free port');
  return address.port;
}
