import { withoutCredentials } from '#graph';
import { isKilnError, KilnError } from '#std';
import { ProgramFailure } from './git-process.ts';
import { forbidden, RemoteError } from './remote-failure.ts';

/**
 * What a failing git means for a person. @param shown the remote without credentials
 * @param refused hosts that the egress rules kept it from
 */
export function gitFailure(shown: string, thrown: unknown, refused: ReadonlySet<string>): unknown {
  const [host] = refused;
  if (host !== undefined) return forbidden(shown, host, thrown);
  if (isKilnError(thrown) || !(thrown instanceof ProgramFailure)) return thrown;
  const said = lastWords(thrown.complaint);
  const details = { cause: thrown };
  if (
    /could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|error: 40[13]\b/.test(said)
  ) {
    return new KilnError('STEP_FAILED', `the git repository ${shown} is not there, or access is refused: ${said}`, {
      ...details,
      hint: 'check the URL; for a private repository pass --secret id=GIT_AUTH_TOKEN',
    });
  }
  // The kernel ends what writes beyond the limit, which then has no words of its own.
  if (/^fatal: fetch-pack: invalid index-pack output$|signal 25|file too large/i.test(said)) {
    return new KilnError('LIMIT_EXCEEDED', `the git repository ${shown} is larger than builds may fetch: ${said}`, {
      ...details,
      hint: 'let the farm’s operator raise the limit (KILN_FETCH_MAX_BYTES)',
    });
  }
  if (/redirect/i.test(said)) {
    return new KilnError('STEP_FAILED', `the git repository ${shown} has moved: ${said}`, {
      ...details,
      hint: 'name it by its new URL: credentials are not sent to where a server redirects',
    });
  }
  if (/not found|does not (?:exist|appear to be)|error: 404\b/i.test(said)) {
    return new KilnError('SOURCE_NOT_FOUND', `there is no git repository ${shown}: ${said}`, {
      ...details,
      hint: 'check the URL',
    });
  }
  if (/not resolve|connect|timed? ?out|error: 5\d\d\b|response 50\d|early EOF|hung up|RPC failed/i.test(said)) {
    return new RemoteError('UPSTREAM_UNAVAILABLE', `the git repository ${shown} cannot be reached: ${said}`, {
      ...details,
      transient: true,
      hint: 'check that the host is right, and that it is up and open to the builders',
    });
  }
  return new KilnError('STEP_FAILED', `git cannot fetch ${shown}: ${said}`, details);
}

/** The lines that say why, without credentials. */
function lastWords(complaint: string): string {
  const lines = withoutCredentials(complaint)
    .split('\n')
    .map((line) => line.trim());
  const telling = lines.filter((line) => /^(?:fatal|error|remote):/.test(line));
  return (telling.length > 0 ? telling : lines).slice(-3).join('; ');
}
