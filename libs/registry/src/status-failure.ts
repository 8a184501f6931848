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

export interface Asked {
  readonly endpoint: Endpoint;
  /** for the person: `the image node:20`, `the blob sha256:…` */
  readonly subject: string;
  readonly kind: 'image' | 'blob' | 'upload';
  readonly nowMs: number;
  /** takes secrets out of what the registry says */
  readonly redact: (text: string) => string;
}

/** What an answer that is no success means. Reads the body to its end. */
export async function statusFailure(reply: Reply, asked: Asked): Promise<RegistryError> {
  const { endpoint, subject, kind } = asked;
  const { host } = endpoint;
  const said = asked.redact(await saidBy(reply));
  const tell = `${host} answered ${reply.status}${said === '' ? '' : ` (${said})`} for ${subject}`;
  const { status } = reply;
  if (status === 401 || status === 403) {
    const hint = `check that the name is right, and sign in: docker login ${host}`;
    return new RegistryError('REGISTRY_DENIED', tell, { hint });
  }
  if (status === 404 && kind !== 'blob') {
    return new RegistryError('IMAGE_NOT_FOUND', `${host} has not got ${subject}${said === '' ? '' : ` (${said})`}`, {
      hint:
        kind === 'image'
          ? `check the name and the tag; if the image is private: docker login ${host}`
          : 'create the repository first, or check its name',
    });
  }
  if (status === 429 || status === 408 || status >= 500) {
    const retryAfterMs = parseRetryAfter(reply.headers['retry-after'], asked.nowMs);
    const asks = retryAfterMs === undefined ? '' : `; it asks for ${Math.ceil(retryAfterMs / 1000)} s of patience`;
    return new RegistryError('REGISTRY_FAILED', `${tell}${asks}`, { transient: true, retryAfterMs });
  }
  // An upload's session or a blob can vanish meanwhile: from the start, it may work.
  const vanished = kind === 'upload' && /UNKNOWN/.test(said);
  const failed = status < 400 || status === 404 || status === 416 || vanished;
  return new RegistryError(failed ? 'REGISTRY_FAILED' : 'REGISTRY_DENIED', tell, { transient: vanished });
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
