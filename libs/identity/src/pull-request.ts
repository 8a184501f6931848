import type { Trust } from '#protocol';
import { type Claims, claimText } from './claims.ts';

/** Events of GitHub Actions that only somebody with rights in the repository brings about. */
const OWN_EVENTS = [
  ...['push', 'create', 'delete', 'release', 'merge_group', 'deployment'],
  ...['schedule', 'workflow_dispatch', 'repository_dispatch'],
];

/**
 * How far a token may be trusted at most, since it is of a pull request: `fork` where the code may be a fork's, or where the token
 * does not tell; undefined when it is of none. Named are the claims of GitHub Actions, GitLab CI, Buildkite and CircleCI.
 */
export function mostTrust(claims: Claims): Trust | undefined {
  const text = (name: string): string | undefined => claimText(claims, name);
  const event = text('event_name');
  // In a public repository, and there alone, a fork's pull request never gets an id token.
  if (event?.startsWith('pull_request') === true && event !== 'pull_request_target')
    return text('repository_visibility') === 'public' ? 'pull-request' : 'fork';
  // All others run with the repository's rights for what a stranger says: a comment, the end of a fork's own run.
  if (event !== undefined && !OWN_EVENTS.includes(event)) return 'fork';
  const source = text('pipeline_source');
  // Of a fork's merge request, `project_path` is the fork's, wherever the job runs.
  if (source === 'merge_request_event') {
    const [project, runsIn] = [text('project_path'), text('job_project_path')];
    return project !== undefined && project === runsIn ? 'pull-request' : 'fork';
  }
  if (source === 'external_pull_request_event') return 'fork';
  // `somebody:branch`; no branch has a colon in its name.
  if (text('build_branch')?.includes(':') === true) return 'fork';
  const refs = ['ref', 'ref_path', 'oidc.circleci.com/vcs-ref'].map(text);
  return refs.some((ref) => ref !== undefined && PULL_REQUEST.test(ref)) ? 'fork' : undefined;
}

const PULL_REQUEST = /^refs\/(?:pull|merge-requests)\/(\d+)(?:\/|$)/;

/** Its number, where a ref tells. */
export function pullRequestOf(claims: Claims): string | undefined {
  for (const name of ['ref', 'ref_path', 'oidc.circleci.com/vcs-ref']) {
    const number = PULL_REQUEST.exec(claimText(claims, name) ?? '')?.[1];
    if (number !== undefined) return number;
  }
  return undefined;
}
