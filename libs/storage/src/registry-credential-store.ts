import { RegistryCredentials, type RegistryRequest, type RegistryView } from '#protocol';
import { KilnError, type Random, seal, systemRandom, unseal } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import type { Claim } from './claim.ts';
import type { Database, Sql } from './database.ts';
import { checkReach, type Principal } from './principal.ts';
import { rankOf, trustColumn } from './trust.ts';

const MAX_HOSTS = 100;

const Row = z.object({
  host: z.string(),
  username: z.string().nullable(),
  min_trust: trustColumn,
  created_at: z.date(),
  updated_at: z.date(),
});
const SealedRow = z.object({ host: z.string(), sealed: z.instanceof(Buffer) });
const columns = 'host, username, min_trust, created_at, updated_at';
const view = ({ min_trust, created_at, updated_at, ...row }: z.infer<typeof Row>): RegistryView => ({
  ...row,
  minimumTrust: min_trust,
  createdAt: created_at.toISOString(),
  updatedAt: updated_at.toISOString(),
});
/** What its sealed credentials are bound to. */
export const registryPurpose = (projectId: string, host: string): string => `registry:${projectId}:${host}`;

/** Credentials of projects for registries. What is secret of them is sealed, and bound to project and host. */
export class RegistryCredentialStore {
  readonly #db: Database;
  readonly #key: Uint8Array;
  readonly #random: Random;

  /** @param key of the farm */
  constructor(db: Database, key: Uint8Array, random: Random = systemRandom) {
    this.#db = db;
    this.#key = key;
    this.#random = random;
  }

  async list({ projectId }: Pick<Principal, 'projectId'>): Promise<readonly RegistryView[]> {
    const rows = await this.#db.query(
      Row,
      `SELECT ${columns} FROM registry_credentials WHERE project_id = $1 ORDER BY host LIMIT $2`,
      [projectId, MAX_HOSTS],
    );
    return rows.map(view);
  }

  /** @throws KilnError NOT_FOUND */
  async get({ projectId }: Pick<Principal, 'projectId'>, host: string): Promise<RegistryView> {
    const [row] = await this.#db.query(
      Row,
      `SELECT ${columns} FROM registry_credentials WHERE project_id = $1 AND host = $2`,
      [projectId, host],
    );
    if (row === undefined) throw absent(host);
    return view(row);
  }

  /** From now on these and no others. @throws KilnError LIMIT_EXCEEDED, PERMISSION_DENIED for those of further trusted builds */
  async put(caller: Principal, host: string, { minimumTrust, ...secret }: RegistryRequest): Promise<RegistryView> {
    const { projectId } = caller;
    checkReach(caller, minimumTrust, 'these credentials are for builds', 'minimumTrust');
    const username = 'username' in secret ? secret.username : null;
    const plain = Buffer.from(JSON.stringify(secret));
    const sealed = seal(this.#key, registryPurpose(projectId, host), plain, this.#random);
    return await this.#db.transaction(async (sql) => {
      // One after the other, so that none is one too many.
      await sql.execute('SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE', [projectId]);
      const others = 'SELECT 1 FROM registry_credentials WHERE project_id = $1 AND host <> $2';
      if ((await sql.execute(others, [projectId, host])) >= MAX_HOSTS)
        throw new KilnError('LIMIT_EXCEEDED', `the project has credentials for ${MAX_HOSTS} registries already`);
      await checkPresent(sql, caller, host);
      const [row] = await sql.query(
        Row,
        `INSERT INTO registry_credentials (project_id, host, username, min_trust, sealed) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, host) DO UPDATE SET username = excluded.username, min_trust = excluded.min_trust,
           sealed = excluded.sealed, updated_at = now() RETURNING ${columns}`,
        [projectId, host, username, rankOf(minimumTrust), sealed],
      );
      if (row === undefined) throw new KilnError('INTERNAL', 'credentials are not there once they were made');
      await audit(sql, caller, { action: 'registry.put', target: host, detail: { username, minimumTrust } });
      return view(row);
    });
  }

  /** @throws KilnError NOT_FOUND, PERMISSION_DENIED for those of further trusted builds */
  async remove(caller: Principal, host: string): Promise<void> {
    await this.#db.transaction(async (sql) => {
      await checkPresent(sql, caller, host);
      const taken = await sql.execute('DELETE FROM registry_credentials WHERE project_id = $1 AND host = $2', [
        caller.projectId,
        host,
      ]);
      if (taken === 0) throw absent(host);
      await audit(sql, caller, { action: 'registry.remove', target: host });
    });
  }

  /**
   * For a builder: those that a build's scope is trusted with, by host. Each gives itself in clear.
   * @throws KilnError PERMISSION_DENIED, on being opened, when it was sealed under another farm's key
   */
  async open({
    projectId,
    scopes: [own],
  }: Pick<Claim, 'projectId' | 'scopes'>): Promise<ReadonlyMap<string, () => RegistryCredentials>> {
    const rows = await this.#db.query(
      SealedRow,
      `SELECT r.host, r.sealed FROM registry_credentials r JOIN scopes s ON s.project_id = r.project_id AND s.id = $2
       WHERE r.project_id = $1 AND s.trust >= r.min_trust`,
      [projectId, own.id],
    );
    return new Map(rows.map(({ host, sealed }) => [host, () => this.#unseal(projectId, host, sealed)]));
  }

  #unseal(projectId: string, host: string, sealed: Buffer): RegistryCredentials {
    try {
      const plain = unseal(this.#key, registryPurpose(projectId, host), sealed);
      return RegistryCredentials.parse(JSON.parse(plain.toString('utf8')));
    } catch (cause) {
      throw new KilnError('PERMISSION_DENIED', `the project’s credentials for ${host} cannot be opened`, {
        hint: 'they were sealed by another key of the farm: put them anew',
        cause,
      });
    }
  }
}

/** That who is trusted less does not take those of further trusted builds away. */
async function checkPresent(sql: Sql, caller: Principal, host: string): Promise<void> {
  const [row] = await sql.query(
    Row.pick({ min_trust: true }),
    'SELECT min_trust FROM registry_credentials WHERE project_id = $1 AND host = $2 FOR UPDATE',
    [caller.projectId, host],
  );
  if (row !== undefined) checkReach(caller, row.min_trust, `the credentials for ${host} are for builds`);
}

const absent = (host: string): KilnError =>
  new KilnError('NOT_FOUND', `there are no credentials for ${JSON.stringify(host)}`);
