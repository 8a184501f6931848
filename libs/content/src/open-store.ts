import { type Clock, KilnError, type Random } from '#std';
import { retrying, verified } from './decorators.ts';
import { FolderContentStore } from './folder-store.ts';
import type { ContentStore } from './store.ts';

/** Where blobs are kept. */
export type StoreLocation =
  | { readonly kind: 'folder'; readonly root: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** empty, or ends with a slash */
      readonly prefix: string;
      readonly region: string | undefined;
      readonly endpoint: string | undefined;
      /** the bucket in the path, not in the host's name */
      readonly pathStyle: boolean;
    };

const FORMS = '/absolute/folder, or s3://bucket/prefix?region=…&endpoint=https://…&pathStyle=true';
const PARAMETERS = new Set(['region', 'endpoint', 'pathStyle']);

function refuse(text: string, why: string): KilnError {
  return new KilnError('INVALID_ARGUMENT', `not an object store: ${why} in ${JSON.stringify(text)}`, {
    hint: `write ${FORMS}`,
  });
}

/**
 * Reads `/folder`, `file:///folder` or `s3://bucket/prefix?region=…&endpoint=…&pathStyle=true`.
 * @throws KilnError INVALID_ARGUMENT
 */
export function parseStoreLocation(text: string): StoreLocation {
  if (text.startsWith('/')) return { kind: 'folder', root: text };
  const url = URL.parse(text);
  if (url?.protocol === 'file:' && url.host === '') return { kind: 'folder', root: decodeURIComponent(url.pathname) };
  if (url?.protocol !== 's3:') throw refuse(text, 'neither a folder nor a bucket');
  if (url.hostname === '') throw refuse(text, 'no bucket');
  if (url.username !== '' || url.password !== '') {
    throw new KilnError('INVALID_ARGUMENT', 'credentials do not belong into the address of an object store', {
      hint: 'give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    });
  }
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.has(name));
  if (unknown !== undefined) throw refuse(text, `unknown parameter ${unknown}`);
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? '')) {
    throw refuse(text, `an endpoint that is no http or https address`);
  }
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  return {
    kind: 's3',
    bucket: url.hostname,
    prefix: path === '' ? '' : `${path}/`,
    region: url.searchParams.get('region') ?? undefined,
    endpoint,
    pathStyle: url.searchParams.get('pathStyle') === 'true',
  };
}

export interface OpenStoreOptions {
  readonly random: Random;
  readonly clock: Clock;
  /** of S3 alone, for tests: what a part and a copy hold, how often something is asked as a whole */
  readonly tuning?: { readonly partBytes?: number; readonly copyLimitBytes?: number; readonly attempts?: number };
}

/** Of what is asked for as a whole: about half a minute. */
const PATIENCE = { attempts: 5, firstDelayMs: 500, maxDelayMs: 8_000 };

/** The store at a location, verified both ways. Credentials for S3 come the way of every AWS client: AWS_…, profile, role. */
export async function openContentStore(
  location: StoreLocation,
  { random, clock, tuning = {} }: OpenStoreOptions,
): Promise<ContentStore> {
  if (location.kind === 'folder') return new FolderContentStore({ root: location.root, random });
  const { bucket, prefix } = location;
  // Loaded where it is used: the SDK costs every command line a tenth of a second.
  const [{ S3ContentStore }, { s3Client }] = await Promise.all([import('./s3-store.ts'), import('./s3-client.ts')]);
  const { attempts = PATIENCE.attempts, ...sizes } = tuning;
  const store = new S3ContentStore({ client: s3Client(location), bucket, prefix, random, ...sizes });
  return verified(retrying(store, { clock, ...PATIENCE, attempts }));
}
