import { collect, isKilnError } from '#std';
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import type { Reply } from './http.ts';
import { RegistryError } from './registry-error.ts';
import { parseRetryAfter } from './retries.ts';

const ERROR_LIMIT_BYTES = 64 * 1024;
const MESSAGE_LIMIT = 300;

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes */
const ErrorsSchema = z.object({
  errors: z.array(z.object({ code: z.string().optional(), message: z.string().nullish() })).min(1),
});

/** As what a registry knows us: nobody, somebody with a password, or somebody who got a token for it. */
export type Standing = 'anonymous' | 'password' | 'token';

export interface Asked {
  readonly endpoint: Endpoint;
  /** for the person: `the image node:20`, `the blob sha256:… of acme/app` */
  readonly subject: string;
  readonly kind: 'image' | 'blob' | 'upload' | 'token';
  readonly standing: Standing;
  readonly nowMs: number;
  /** takes secrets out of what the registry says */
  readonly redact: (text: string) => string;
}

/** What an answer that is no success means. Reads the body to its end. */
export async function statusFailure(reply: Reply, asked: Asked): Promise<RegistryError> {
  const { endpoint, subject, kind } = asked;
  const { host, repository } = endpoint;
  const said = asked.redact(await saidBy(reply));
  const tell = `${host} answered ${reply.status}${said === '' ? '' : ` (${said})`} for ${subject}`;
  const { status } = reply;
  // OAuth 2 refuses what has expired with 400.
  if (status === 401 || status === 403 || (status === 400 && kind === 'token')) {
    return new RegistryError('REGISTRY_DENIED', tell, { hint: accessHint(status, asked) });
  }
  if (status === 404 && (kind === 'image' || kind === 'upload')) {
    return new RegistryError('IMAGE_NOT_FOUND', `${host} has not got ${subject}${said === '' ? '' : ` (${said})`}`, {
      hint:
        kind === 'image'
          ? `check the name and the tag; if the image is private: docker login ${host}`
          : `create the repository ${repository} at ${host} first, or check its name`,
    });
  }
  if (status === 429 || status === 408 || status >= 500) {
    const retryAfterMs = parseRetryAfter(reply.headers['retry-after'], asked.nowMs);
    const asks = retryAfterMs === undefined ? '' : `; it asks for ${Math.ceil(retryAfterMs / 1000)} s of patience`;
    const hint =
      status === 429
        ? `${host} limits how often it is asked: sign in (docker login ${host}), read from a mirror (KILN_REGISTRY_MIRRORS), or wait`
        : `the trouble is on the side of ${host}: try again later, or tell who runs it`;
    return new RegistryError('REGISTRY_FAILED', `${tell}${asks}`, { hint, transient: true, retryAfterMs });
  }
  if (/\bNAME_INVALID\b/.test(said)) {
    const hint = `${host} takes no repository of the name ${repository}: use another one`;
    return new RegistryError('REGISTRY_DENIED', tell, { hint });
  }
  // An upload's session or a blob can vanish meanwhile: from the start, it may work.
  const vanished = kind === 'upload' && /UNKNOWN/.test(said);
  const failed = status < 400 || status === 404 || status === 416 || vanished;
  return new RegistryError(failed ? 'REGISTRY_FAILED' : 'REGISTRY_DENIED', tell, { transient: vanished });
}

function accessHint(status: number, { endpoint: { host, repository }, standing, kind }: Asked): string {
  const signIn = `docker login ${host}`;
  if (standing === 'anonymous') return `check that the name is right, and sign in: ${signIn}`;
  // A registry that wants tokens says by 401 what others say by 403, after the token service knew us.
  if (kind === 'token' || (status === 401 && standing === 'password'))
    return `the credentials for ${host} are wrong or have expired; sign in again: ${signIn}`;
  const may = kind === 'upload' ? 'push to' : 'use';
  return `check that the name is right, and that this account may ${may} ${repository}; as somebody else: ${signIn}`;
}

async function saidBy({ body }: Reply): Promise<string> {
  let text: string;
  try {
    text = (await collect(body, ERROR_LIMIT_BYTES)).toString('utf8');
  } catch (thrown) {
    // The status alone tells enough; a broken or endless explanation is none.
    if (isKilnError(thrown, 'LIMIT_EXCEEDED') || thrown instanceof Error) return '';
    throw thrown;
  }
  try {
    const { errors } = ErrorsSchema.parse(JSON.parse(text));
    return printable(errors.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; '));
  } catch {
    return /^\s*</.test(text) ? '' : printable(text);
  }
}

/** One line without control characters: a registry's words end up in terminals. */
function printable(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return line.length <= MESSAGE_LIMIT ? line : `${line.slice(0, MESSAGE_LIMIT)}…`;
}
