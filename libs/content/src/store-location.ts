import { KilnError } from '#std';

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
