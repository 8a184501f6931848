import {
  type Claim,
  type Database,
  EventFeed,
  migrate,
  openDatabase,
  openRedis,
  BuildLedger,
  ProjectStore,
} from '#storage';
import { digestOf } from '#oci';
import { StoredRequest } from '#protocol';
import { type RedisLink } from '#storage';
import { MemoryContentStore, startPostgres, startRedis, type TestService } from '#testing';

/** Real services with a migrated schema, and the ledger on them. */
export interface Storage extends AsyncDisposable {
  readonly postgres: TestService;
  readonly redis: TestService;
  readonly db: Database;
  readonly link: RedisLink;
  readonly ledger: BuildLedger;
  readonly projects: ProjectStore;
  readonly content: MemoryContentStore;
  readonly feed: EventFeed;
}

export async function startStorage(): Promise<Storage> {
  await using stack = new AsyncDisposableStack();
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  stack.use(postgres);
  stack.use(redis);
  const db = stack.use(openDatabase({ url: postgres.url, max: 10 }));
  const link = stack.use(openRedis({ url: redis.url }));
  await migrate(db);
  const content = new MemoryContentStore();
  const held = stack.move();
  return {
    postgres,
    redis,
    db,
    link,
    ledger: new BuildLedger({ db, redis: link }),
    projects: new ProjectStore(db),
    content,
    feed: new EventFeed({ db, redis: link, content }),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

let drawn = 0;
export const nextId = (): string => `b${Date.now().toString(36)}${drawn++}`;

export function request(more: Partial<StoredRequest> = {}): StoredRequest {
  return { ...StoredRequest.parse({}), ...more };
}

export const context = { digest: digestOf('manifest'), files: 3, sizeBytes: 30, sentBytes: 20 };

export async function createBuild({ ledger, projects }: Storage, project = 'default', scope = 'main'): Promise<string> {
  const ids = await projects.ensure(project, 'main');
  const own = scope === 'main' ? ids : await projects.ensure(project, scope, { parent: 'main' });
  const id = nextId();
  await ledger.create({ ...own, id, request: request(), context, sealed: Buffer.from('sealed'), fingerprint: id });
  return id;
}

export async function claimBuild(
  storage: Storage,
  builder = 'one',
  project = 'default',
  scope = 'main',
): Promise<Claim> {
  const id = await createBuild(storage, project, scope);
  const claim = await storage.ledger.claim(id, 1, builder);
  if (claim === null) throw new Error('not claimed');
  return claim;
}

/** As a builder that went silent long ago. */
export async function goSilent({ db }: Storage, buildId: string): Promise<void> {
  await db.execute("UPDATE builds SET heartbeat_at = now() - interval '1 hour' WHERE id = $1", [buildId]);
}
