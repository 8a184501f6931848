import { withoutCredentials } from '#graph';
import { isKilnError, KilnError } from '#std';
import { ProgramFailure } from './git-process.ts';
import { KNOWN_HOSTS_SECRET } from './git-ssh.ts';
import { forbidden, RemoteError } from './remote-failure.ts';

/** What is known of the way that git went. */
export interface WayBack {
  /** hosts that the egress rules kept it from */
  readonly refused: ReadonlySet<string>;
  /** why there was no connection */
  readonly failure?: string | undefined;
}

/** What a failing git means for a person. @param shown the remote without credentials */
export function gitFailure(shown: string, thrown: unknown, way?: WayBack): unknown {
  const [host] = way?.refused ?? [];
  if (host !== undefined) return forbidden(shown, host, thrown);
  if (isKilnError(thrown) || !(thrown instanceof ProgramFailure)) return thrown;
  if (way?.failure !== undefined) return unreachable(shown, way.failure, thrown);
  const ssh = sshFailure(shown, thrown);
  if (ssh !== undefined) return ssh;
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
  if (/not found|not exported|does not (?:exist|appear to be)|error: 404\b/i.test(said)) {
    return new KilnError('SOURCE_NOT_FOUND', `there is no git repository ${shown}: ${said}`, {
      ...details,
      hint: 'check the URL',
    });
  }
  if (/not resolve|connect|timed? ?out|error: 5\d\d\b|response 50\d|early EOF|hung up|RPC failed/i.test(said)) {
    return unreachable(shown, said, thrown);
  }
  return new KilnError('STEP_FAILED', `git cannot fetch ${shown}: ${said}`, details);
}

function unreachable(shown: string, why: string, cause: unknown): RemoteError {
  return new RemoteError('UPSTREAM_UNAVAILABLE', `the git repository ${shown} cannot be reached: ${why}`, {
    cause,
    transient: true,
    hint: 'check that the host is right, and that it is up and open to the builders',
  });
}

/** What ssh says, and git does not. */
function sshFailure(shown: string, thrown: ProgramFailure): KilnError | undefined {
  const { complaint } = thrown;
  if (/IDENTIFICATION HAS CHANGED|REVOKED HOST KEY|Host key verification failed/.test(complaint)) {
    const why = /No (\S+) host key is known/.test(complaint)
      ? 'the key of its host is not known'
      : 'its host has another key than the one that is known: somebody may be listening in';
    return new KilnError('STEP_FAILED', `the git repository ${shown}: ${why}`, {
      cause: thrown,
      hint: `pass --secret id=${KNOWN_HOSTS_SECRET},src=$HOME/.ssh/known_hosts with the right key in it, or let the farm’s operator add it (KILN_SSH_KNOWN_HOSTS)`,
    });
  }
  if (/Permission denied \(/.test(complaint)) {
    return new KilnError('STEP_FAILED', `the git repository ${shown}: access is refused to the keys of the ssh agent`, {
      cause: thrown,
      hint: 'check with ssh-add -l that the agent has the key, and that the user in the URL is right (git@…)',
    });
  }
  return undefined;
}

/** The lines that say why, without credentials. */
function lastWords(complaint: string): string {
  const lines = withoutCredentials(complaint)
    .split('\n')
    .map((line) => line.trim());
  const telling = lines.filter((line) => /^(?:fatal|error|remote):/i.test(line));
  return (telling.length > 0 ? telling : lines).slice(-3).join('; ');
}
