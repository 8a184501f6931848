import { spawn } from 'node:child_process';
import type { RegistryCredentials } from '#protocol';
import { type Bytes, collect, KilnError, messageOf, systemCode } from '#std';
import { z } from 'zod';

/** https://github.com/docker/docker-credential-helpers#development */
const HelperAnswer = z.object({ Username: z.string(), Secret: z.string() });

/** As the user name: the secret is an identity token. */
const TOKEN_USER = '<token>';
const NOT_FOUND = 'credentials not found in native keychain';
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 1024 * 1024;

/**
 * What `docker-credential-<helper> get` knows of a server; undefined when it knows nothing.
 * @throws KilnError INVALID_ARGUMENT naming the helper when it is missing or fails
 */
export async function askHelper(
  helper: string,
  server: string,
  signal: AbortSignal | undefined,
): Promise<RegistryCredentials | undefined> {
  const program = `docker-credential-${helper}`;
  const failed = (why: string, cause?: unknown): KilnError =>
    new KilnError('INVALID_ARGUMENT', `${program} gave no credentials for ${server}: ${why}`, {
      hint: `docker’s config.json names it; install it, or take it out of there`,
      cause,
    });
  if (!/^[A-Za-z0-9._-]+$/.test(helper)) throw failed('that is no name of a helper');
  let outcome: { readonly code: number | null; readonly text: string };
  try {
    outcome = await run(program, server, signal);
  } catch (cause) {
    signal?.throwIfAborted();
    throw failed(systemCode(cause) === 'ENOENT' ? 'it is not installed' : messageOf(cause), cause);
  }
  const text = outcome.text.trim();
  if (outcome.code !== 0) {
    if (text === NOT_FOUND) return undefined;
    // Helpers write errors to standard output, never secrets.
    throw failed(text.split('\n')[0] || `exit code ${outcome.code ?? 'none'}`);
  }
  const { Username: username, Secret: secret } = parseHelperAnswer(text, () => failed('its answer is malformed'));
  return username === TOKEN_USER ? { identityToken: secret } : { username, password: secret };
}

function parseHelperAnswer(text: string, fail: () => KilnError): z.infer<typeof HelperAnswer> {
  try {
    return HelperAnswer.parse(JSON.parse(text));
  } catch {
    // The cause would carry the secret along.
    throw fail();
  }
}

async function run(
  program: string,
  input: string,
  signal: AbortSignal | undefined,
): Promise<{ code: number | null; text: string }> {
  const child = spawn(program, ['get'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    ...(signal === undefined ? {} : { signal }),
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  // A helper that does not read its input breaks the pipe; its exit code tells the rest.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const output: Bytes = child.stdout;
  const [text, code] = await Promise.all([collect(output, MAX_BYTES), ended]);
  return { code, text: text.toString() };
}
