import { isKilnError, keyedDigest, unseal } from '#std';
import { z } from 'zod';
import type { Database } from './database.ts';
import { registryPurpose } from './registry-credential-store.ts';
import { secretPurpose } from './webhook-row.ts';

/** What was sealed with the farm's key, and whether this key opens it. */
export interface SealedValues {
  readonly opened: number;
  /** for people: `registry ghcr.io`, `webhook …`, `build …` */
  readonly refused: readonly string[];
}

const Sealed = z.object({
  kind: z.enum(['registry', 'webhook', 'build']),
  project_id: z.string(),
  name: z.string(),
  sealed: z.instanceof(Buffer),
});
const MAX_VALUES = 1_000;

const purposes = {
  registry: registryPurpose,
  webhook: secretPurpose,
  build: (_projectId: string, id: string): string => `build:${id}`,
} as const;

/** Opens what is sealed in the database, as much as tells whether the key is the farm's; nothing of it is kept. */
export async function openSealed(db: Database, key: Uint8Array): Promise<SealedValues> {
  const rows = await db.query(
    Sealed,
    `(SELECT 'registry' AS kind, project_id, host AS name, sealed FROM registry_credentials ORDER BY updated_at DESC LIMIT $1)
     UNION ALL (SELECT 'webhook', project_id, id, sealed FROM webhooks ORDER BY updated_at DESC LIMIT $1)
     UNION ALL (SELECT 'build', project_id, id, sealed FROM builds
       WHERE sealed IS NOT NULL AND state IN ('queued', 'running') ORDER BY created_at DESC LIMIT $1)`,
    [MAX_VALUES],
  );
  const refused = rows.flatMap(({ kind, project_id: projectId, name, sealed }) =>
    opens(key, purposes[kind](projectId, name), sealed) ? [] : [`${kind} ${name}`],
  );
  return { opened: rows.length - refused.length, refused };
}

function opens(key: Uint8Array, purpose: string, sealed: Buffer): boolean {
  try {
    unseal(key, purpose, sealed);
    return true;
  } catch (thrown) {
    if (isKilnError(thrown, 'PERMISSION_DENIED')) return false;
    throw thrown;
  }
}

/** Tells whether two keys are one, and of none what it is. */
export const fingerprintOf = (key: Uint8Array): string => keyedDigest(key, 'fingerprint', Buffer.from('kiln'));
