import { readFileSync } from 'node:fs';
import { KilnError, messageOf } from '#std';
import { type Authority, TrustStore } from './trust-store.ts';

/** Certificates of who vouches for a registry, or with `*` for all. */
export interface AuthorityFile {
  readonly for: string;
  /** of a file in PEM, absolute */
  readonly path: string;
}

/** `host=/path/to/ca.pem`, where a `/` begins the path. @throws KilnError INVALID_ARGUMENT */
export function parseAuthorityFile(text: string): AuthorityFile {
  const match = /^([^=/]+)=(\/.+)$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new KilnError('INVALID_ARGUMENT', `not an authority of a registry: ${JSON.stringify(text)}`, {
      field: 'KILN_REGISTRY_CA',
      hint: 'write host[:port]=/path/to/ca.pem, several separated by commas',
    });
  }
  return { for: match[1], path: match[2] };
}

/** @throws KilnError INVALID_ARGUMENT when certificates that are to be trusted cannot be read */
export function readTrust(bundle: string | undefined, files: readonly AuthorityFile[]): TrustStore {
  const everywhere = bundle === undefined ? [] : [{ for: '*', path: bundle }];
  return new TrustStore([...everywhere, ...files].map(readAuthority));
}

function readAuthority({ for: host, path }: AuthorityFile): Authority {
  try {
    return { for: host, certificates: readFileSync(path, 'utf8') };
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', `cannot read what is to be trusted for ${host}: ${messageOf(cause)}`, {
      cause,
      field: host === '*' ? 'KILN_CA_BUNDLE' : 'KILN_REGISTRY_CA',
      hint: 'give the absolute path of a file with certificates in PEM that this process may read',
    });
  }
}
