import { ClaimPatterns, Permission, type Trust, type TrustRule, type TrustRuleRequest } from '#protocol';
import { KilnError, type Random, randomId, systemRandom } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import { checkReach, type Principal } from './principal.ts';
import { ensureScope, findScope, getScope } from './scopes.ts';
import { insertToken } from './token-store.ts';
import { lesserTrust, rankOf, trustColumn } from './trust.ts';

const ID_LENGTH = 16;
const MAX_RULES = 100;
/** Of one id token. */
const MAX_EXCHANGES = 5;
/** Of one project, alive at once. */
const MAX_EXCHANGED = 10_000;
const RulePermissions = z.array(Permission.exclude(['admin']));

const Row = z.object({
  id: z.string(),
  name: z.string(),
  issuer: z.string(),
  audience: z.string(),
  claims: ClaimPatterns,
  scope: z.string(),
  parent: z.string().nullable(),
  trust: trustColumn,
  permissions: RulePermissions,
  lifetime_seconds: z.int(),
  created_at: z.date(),
});
const select = `SELECT r.id, r.name, r.issuer, r.audience, r.claims, r.scope, s.name AS parent, r.trust, r.permissions,
  r.lifetime_seconds, r.created_at
  FROM trust_rules r LEFT JOIN scopes s ON s.project_id = r.project_id AND s.id = r.parent_id`;
const view = ({
  lifetime_seconds: lifetimeSeconds,
  created_at: createdAt,
  ...row
}: z.infer<typeof Row>): TrustRule => ({
  ...row,
  lifetimeSeconds,
  createdAt: createdAt.toISOString(),
});

/** A project by its name, with the rules of one issuer. */
export interface TrustingProject {
  readonly projectId: string;
  readonly teamId: string;
  readonly rules: readonly TrustRule[];
}

export interface Exchange extends Pick<TrustingProject, 'projectId' | 'teamId'> {
  readonly rule: TrustRule;
  readonly scope: string;
  /** of the scope at most */
  readonly trust: Trust;
  readonly idToken: IdToken;
}

export interface IdToken {
  /** whom it names */
  readonly subject: string;
  /** of what is signed: a signature may be written in several ways */
  readonly sha256: Uint8Array;
  readonly expiresAt: Date;
}

/** Trust rules of projects, and tokens that are given by them. */
export class TrustRuleStore {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random = systemRandom) {
    this.#db = db;
    this.#random = random;
  }

  async list({ projectId }: Pick<Principal, 'projectId'>): Promise<readonly TrustRule[]> {
    const rows = await this.#db.query(Row, `${select} WHERE r.project_id = $1 ORDER BY r.created_at, r.id LIMIT $2`, [
      projectId,
      MAX_RULES,
    ]);
    return rows.map(view);
  }

  /** @throws KilnError NOT_FOUND */
  async get({ projectId }: Pick<Principal, 'projectId'>, id: string): Promise<TrustRule> {
    return await getRule(this.#db, projectId, id);
  }

  /** @throws KilnError PERMISSION_DENIED for one that gives more than the caller has, NOT_FOUND for its parent, LIMIT_EXCEEDED */
  async create(caller: Principal, request: TrustRuleRequest): Promise<TrustRule> {
    const { projectId } = caller;
    const id = randomId(this.#random, ID_LENGTH);
    return await this.#db.transaction(async (sql) => {
      const parentId = await checkRule(sql, caller, request);
      // One after the other, so that none is one too many.
      await sql.execute('SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE', [projectId]);
      if ((await sql.execute('SELECT 1 FROM trust_rules WHERE project_id = $1', [projectId])) >= MAX_RULES)
        throw new KilnError('LIMIT_EXCEEDED', `the project has ${MAX_RULES} trust rules already`);
      await sql.execute(
        `INSERT INTO trust_rules (project_id, id, name, issuer, audience, claims, scope, parent_id, trust, permissions,
           lifetime_seconds) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
        [projectId, id, ...values(request, parentId)],
      );
      await audit(sql, caller, { action: 'trust-rule.create', target: id, detail: request });
      return await getRule(sql, projectId, id);
    });
  }

  /** The rule as it is to be from now on. @throws KilnError as {@link create}, and PERMISSION_DENIED for one that is trusted further */
  async replace(caller: Principal, id: string, request: TrustRuleRequest): Promise<TrustRule> {
    return await this.#db.transaction(async (sql) => {
      const before = await getRule(sql, caller.projectId, id);
      checkReach(caller, before.trust, 'the trust rule is');
      await sql.execute(
        `UPDATE trust_rules SET name = $3, issuer = $4, audience = $5, claims = $6, scope = $7, parent_id = $8, trust = $9,
           permissions = $10, lifetime_seconds = $11 WHERE project_id = $1 AND id = $2`,
        [caller.projectId, id, ...values(request, await checkRule(sql, caller, request))],
      );
      await audit(sql, caller, { action: 'trust-rule.replace', target: id, detail: { ...request, before } });
      return await getRule(sql, caller.projectId, id);
    });
  }

  /** Tokens that it gave go on to their end. @throws KilnError NOT_FOUND, PERMISSION_DENIED for one that is trusted further */
  async remove(caller: Principal, id: string): Promise<void> {
    await this.#db.transaction(async (sql) => {
      const { name, trust } = await getRule(sql, caller.projectId, id);
      checkReach(caller, trust, 'the trust rule is');
      await sql.execute('DELETE FROM trust_rules WHERE project_id = $1 AND id = $2', [caller.projectId, id]);
      await audit(sql, caller, { action: 'trust-rule.remove', target: id, detail: { name } });
    });
  }

  /** Whether any rule of the farm names it: of nobody else is anything fetched. */
  async isNamed(issuer: string): Promise<boolean> {
    return (await this.#db.execute('SELECT 1 FROM trust_rules WHERE issuer = $1 LIMIT 1', [issuer])) > 0;
  }

  /** undefined where there is no such project, or none of its rules names the issuer */
  async trusting(project: string, issuer: string): Promise<TrustingProject | undefined> {
    const [found] = await this.#db.query(
      z.object({ id: z.string(), team_id: z.string() }),
      'SELECT id, team_id FROM projects WHERE name = $1',
      [project],
    );
    if (found === undefined) return undefined;
    const rules = (await this.list({ projectId: found.id })).filter((rule) => rule.issuer === issuer);
    return rules.length === 0 ? undefined : { projectId: found.id, teamId: found.team_id, rules };
  }

  /**
   * A token for an id token that a rule admits, in a scope that is made where it is not there.
   * @throws KilnError PERMISSION_DENIED when the scope is there and was made for what is trusted otherwise, UNAUTHENTICATED when the
   *   id token was exchanged often enough, RATE_LIMITED when the project has many such tokens
   */
  async exchange({ projectId, teamId, rule, scope, trust, idToken }: Exchange) {
    const actor = { projectId, teamId, tokenId: null, member: null };
    return await this.#db.transaction(async (sql) => {
      await countExchange(sql, projectId, idToken);
      const parent = rule.parent === null ? undefined : await getScope(sql, projectId, rule.parent);
      const wanted = parent === undefined ? trust : lesserTrust(trust, parent.trust);
      const made =
        (await findScope(sql, projectId, scope)) ??
        (await ensureScope(
          sql,
          { random: this.#random, actor },
          { projectId, name: scope, parent: rule.parent ?? undefined, trust: wanted, exchanged: true },
        ));
      // Neither into what is trusted further, nor into what others have written that are trusted less.
      if (made.trust !== wanted) {
        throw new KilnError(
          'PERMISSION_DENIED',
          `the scope ${scope} was made for what is trusted as ${made.trust}, and the id token is trusted as ${wanted}`,
          { hint: 'let each trust rule name scopes of its own, such as pr/{pull_request}' },
        );
      }
      await sql.execute(
        `UPDATE scopes SET exchanged_at = now()
         WHERE project_id = $1 AND id = $2 AND exchanged_at < now() - interval '1 day'`,
        [projectId, made.id],
      );
      const { subject } = idToken;
      const { permissions, lifetimeSeconds, issuer, id: ruleId, name } = rule;
      const { id, secret } = await insertToken(sql, this.#random, {
        ...{ projectId, scopeId: made.id, name, permissions, subject },
        expiresAt: new Date(Date.now() + lifetimeSeconds * 1_000),
      });
      const detail = { rule: ruleId, issuer, subject, scope, trust: made.trust, permissions };
      await audit(sql, actor, { action: 'token.exchange', target: id, detail });
      return { secret, trust: made.trust };
    });
  }
}

function values(request: TrustRuleRequest, parentId: string | null): readonly unknown[] {
  const { name, issuer, audience, claims, scope, trust, permissions, lifetimeSeconds } = request;
  return [
    ...[name, issuer, audience, JSON.stringify(claims), scope, parentId, rankOf(trust)],
    ...[[...new Set(permissions)], lifetimeSeconds],
  ];
}

/** @returns the id of what its scopes inherit */
async function checkRule(sql: Sql, caller: Principal, request: TrustRuleRequest): Promise<string | null> {
  const { trust, permissions, parent } = request;
  checkReach(caller, trust, 'the trust rule is', 'trust');
  const lacking = permissions.filter((each) => !caller.permissions.includes(each));
  if (lacking.length > 0) {
    throw new KilnError('PERMISSION_DENIED', `this token cannot give what it lacks: ${lacking.join(', ')}`, {
      field: 'permissions',
    });
  }
  if (parent === undefined) return null;
  const above = await getScope(sql, caller.projectId, parent, 'parent');
  if (rankOf(above.trust) >= rankOf(trust)) return above.id;
  throw new KilnError('INVALID_ARGUMENT', `a scope trusted as ${trust} cannot inherit one trusted as ${above.trust}`, {
    field: 'parent',
  });
}

/** Counts one more exchange of an id token, and the tokens that a project was given so far. */
async function countExchange(sql: Sql, projectId: string, { sha256, expiresAt }: IdToken): Promise<void> {
  const counted = await sql.execute(
    `INSERT INTO used_id_tokens (sha256, expires_at, exchanges) VALUES ($1, $2, 1)
     ON CONFLICT (sha256) DO UPDATE SET exchanges = used_id_tokens.exchanges + 1 WHERE used_id_tokens.exchanges < $3`,
    [sha256, expiresAt, MAX_EXCHANGES],
  );
  if (counted === 0) {
    throw new KilnError('UNAUTHENTICATED', `the id token has been exchanged ${MAX_EXCHANGES} times already`, {
      hint: 'use the token that it was exchanged for, or ask the CI system for a new id token',
    });
  }
  const alive = await sql.execute(
    `SELECT 1 FROM tokens WHERE project_id = $1 AND subject IS NOT NULL AND revoked_at IS NULL AND expires_at > now() LIMIT $2`,
    [projectId, MAX_EXCHANGED],
  );
  if (alive < MAX_EXCHANGED) return;
  throw new KilnError('RATE_LIMITED', `the project has ${MAX_EXCHANGED} tokens of CI jobs already`, {
    hint: 'give tokens of trust rules shorter lives, or use one for all of a job',
  });
}

async function getRule(sql: Sql, projectId: string, id: string): Promise<TrustRule> {
  const [row] = await sql.query(Row, `${select} WHERE r.project_id = $1 AND r.id = $2`, [projectId, id]);
  if (row === undefined) throw new KilnError('NOT_FOUND', 'there is no such trust rule');
  return view(row);
}
