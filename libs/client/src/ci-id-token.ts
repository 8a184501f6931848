import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { request } from 'undici';
import { collect, KilnError, messageOf } from '#std';
import { z } from 'zod';
import type { Environment } from './ci-environment.ts';

export interface IdTokenOptions {
  readonly environment: Environment;
  /** whom the token is for, as the farm's trust rule says */
  readonly audience: string;
  readonly signal?: AbortSignal | undefined;
  /** a program's output; for tests */
  readonly run?: (program: string, args: readonly string[]) => Promise<string>;
}

const TIMEOUT_MS = 30_000;
const MAX_BYTES = 64 * 1024;
const GithubAnswer = z.object({ value: z.string().min(1) });

/**
 * An id token that the CI system signs for this job: of GitHub Actions and Buildkite a new one, else what the environment has
 * (`KILN_ID_TOKEN`, CircleCI's). https://openid.net/specs/openid-connect-core-1_0.html#IDToken
 * @throws KilnError INVALID_ARGUMENT where there is none, UPSTREAM_UNAVAILABLE when the CI system gives none
 */
export async function ciIdToken({ environment: env, audience, signal, run = output }: IdTokenOptions): Promise<string> {
  const given = env['KILN_ID_TOKEN'];
  if (given !== undefined && given !== '') return given;
  const [url, bearer] = [env['ACTIONS_ID_TOKEN_REQUEST_URL'], env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']];
  if (url !== undefined && bearer !== undefined) return await fromGithub({ url, bearer, audience, signal });
  if (env['BUILDKITE'] === 'true') return await fromBuildkite(audience, run);
  const circle = env['CIRCLE_OIDC_TOKEN_V2'];
  if (circle !== undefined && circle !== '') return circle;
  throw new KilnError('INVALID_ARGUMENT', 'no id token of a CI system is at hand', { hint: hintFor(env) });
}

function hintFor(env: Environment): string {
  if (env['GITHUB_ACTIONS'] === 'true') return 'give the job permissions: id-token: write';
  if (env['GITLAB_CI'] === 'true') return 'give the job id_tokens: KILN_ID_TOKEN: aud: and the farm’s audience';
  if (env['CIRCLECI'] === 'true') return 'give the job a context: CIRCLE_OIDC_TOKEN_V2 is there then';
  return 'set KILN_ID_TOKEN to one, or pipe it into kiln login --oidc-token-stdin';
}

interface GithubRequest {
  readonly url: string;
  readonly bearer: string;
  readonly audience: string;
  readonly signal: AbortSignal | undefined;
}

/** https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token */
async function fromGithub({ url, bearer, audience, signal }: GithubRequest): Promise<string> {
  const at = new URL(url);
  at.searchParams.set('audience', audience);
  try {
    const { statusCode, body } = await request(at, {
      headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
    const text = (await collect(body as AsyncIterable<Uint8Array>, MAX_BYTES)).toString();
    if (statusCode !== 200) throw new Error(`it answered ${statusCode}`);
    return GithubAnswer.parse(JSON.parse(text)).value;
  } catch (cause) {
    signal?.throwIfAborted();
    throw failed('GitHub', cause);
  }
}

/** https://buildkite.com/docs/agent/cli/reference/oidc */
async function fromBuildkite(audience: string, run: NonNullable<IdTokenOptions['run']>): Promise<string> {
  try {
    const token = (await run('buildkite-agent', ['oidc', 'request-token', '--audience', audience])).trim();
    if (token === '') throw new Error('it printed nothing');
    return token;
  } catch (cause) {
    throw failed('buildkite-agent', cause);
  }
}

function failed(who: string, cause: unknown): KilnError {
  // A parser's complaint may quote the answer, and so the token.
  const why =
    cause instanceof SyntaxError || cause instanceof z.ZodError ? 'its answer is malformed' : messageOf(cause);
  return new KilnError('UPSTREAM_UNAVAILABLE', `${who} gave no id token: ${why.split('\n')[0] ?? ''}`, {
    hint: 'try again; the job has to be allowed to ask for one',
  });
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args], { timeout: TIMEOUT_MS, maxBuffer: MAX_BYTES });
  return stdout;
}
