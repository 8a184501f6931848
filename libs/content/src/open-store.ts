import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Random } from '#std';
import { retrying, verified, verifying } from './decorators.ts';
import { FolderContentStore } from './folder-store.ts';
import type { ContentStore } from './store.ts';
import type { StoreLocation } from './store-location.ts';

export interface OpenStoreOptions {
  readonly random: Random;
  readonly clock: Clock;
  /** Whether blobs that a read finds damaged stay where they are; they are removed without it. */
  readonly leaveDamaged?: boolean;
  /** of S3 alone, for tests: what a part and a copy hold, how often something is asked as a whole */
  readonly tuning?: { readonly partBytes?: number; readonly copyLimitBytes?: number; readonly attempts?: number };
}

/** Of what is asked for as a whole: about half a minute. */
const PATIENCE = { attempts: 5, firstDelayMs: 500, maxDelayMs: 8_000 };

/** The store at a location, verified both ways. Credentials for S3 come the way of every AWS client: AWS_…, profile, role. */
export async function openContentStore(
  location: StoreLocation,
  { random, clock, leaveDamaged = false, tuning = {} }: OpenStoreOptions,
): Promise<ContentStore> {
  if (location.kind === 'folder') {
    // An empty store is told from a folder that is none, such as one that nothing is mounted at.
    await mkdir(join(location.root, 'sha256'), { recursive: true });
    return new FolderContentStore({ root: location.root, random, leaveDamaged });
  }
  const { bucket, prefix } = location;
  // Loaded where it is used: the SDK costs every command line a tenth of a second.
  const [{ S3ContentStore }, { s3Client }] = await Promise.all([import('./s3-store.ts'), import('./s3-client.ts')]);
  const { attempts = PATIENCE.attempts, ...sizes } = tuning;
  const store = new S3ContentStore({ client: s3Client(location), bucket, prefix, random, ...sizes });
  const patient = retrying(store, { clock, ...PATIENCE, attempts });
  return leaveDamaged ? verifying(patient) : verified(patient);
}
