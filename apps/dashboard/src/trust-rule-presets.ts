import type { Trust } from '#protocol';

/** A rule to begin with; what stands in <…> is for who makes it to say. */
export interface TrustRulePreset {
  readonly id: string;
  readonly system: string;
  readonly what: string;
  readonly issuer: string;
  /** one a line */
  readonly claims: string;
  readonly scope: string;
  readonly trust: Trust;
}

interface System {
  readonly name: string;
  readonly issuer: string;
  /** what its id tokens say of a push, in short */
  readonly sample: Readonly<Record<string, unknown>>;
  readonly rules: readonly (readonly [what: string, trust: Trust, scope: string, claims: readonly string[]])[];
}

const gitlab = 'project_path: <group>/<project>';
const buildkite = ['organization_slug: <organization>', 'pipeline_slug: <pipeline>'];
const circleci = [
  'oidc.circleci.com/project-id: <project id>',
  'oidc.circleci.com/vcs-origin: github.com/<owner>/<repository>',
];

/** As docs/identity.md has them. */
const systems: readonly System[] = [
  {
    name: 'GitHub Actions',
    issuer: 'https://token.actions.githubusercontent.com',
    sample: { repository: 'acme/web', ref: 'refs/heads/main', event_name: 'push', repository_visibility: 'private' },
    rules: [
      [
        ...(['the default branch', 'protected', 'main'] as const),
        [
          'repository: <owner>/<repository>',
          'ref: refs/heads/main',
          'event_name: push',
          'event_name: workflow_dispatch',
        ],
      ],
      [
        ...(['branches', 'branch', 'branch/{ref}'] as const),
        ['repository: <owner>/<repository>', 'ref: refs/heads/*', 'event_name: push'],
      ],
      [
        ...(['pull requests', 'pull-request', 'pr/{pull_request}'] as const),
        ['repository: <owner>/<repository>', 'event_name: pull_request'],
      ],
    ],
  },
  {
    name: 'GitLab CI',
    issuer: 'https://gitlab.com',
    sample: {
      ...{ project_path: 'acme/web', job_project_path: 'acme/web', ref: 'main', ref_type: 'branch' },
      ...{ ref_path: 'refs/heads/main', ref_protected: 'true', pipeline_source: 'push' },
    },
    rules: [
      [
        ...(['protected branches', 'protected', 'protected/{ref}'] as const),
        [gitlab, 'ref_type: branch', 'ref_protected: true', 'pipeline_source: push'],
      ],
      [...(['branches', 'branch', 'branch/{ref}'] as const), [gitlab, 'ref_type: branch', 'pipeline_source: push']],
      [...(['merge requests', 'pull-request', 'mr/{ref}'] as const), [gitlab, 'pipeline_source: merge_request_event']],
    ],
  },
  {
    name: 'Buildkite',
    issuer: 'https://agent.buildkite.com',
    sample: { organization_slug: 'acme', pipeline_slug: 'web', build_branch: 'main' },
    rules: [
      [...(['the default branch', 'protected', 'main'] as const), [...buildkite, 'build_branch: main']],
      [...(['branches', 'branch', 'branch/{build_branch}'] as const), buildkite],
    ],
  },
  {
    name: 'CircleCI',
    issuer: 'https://oidc.circleci.com/org/<organization id>',
    sample: {
      'oidc.circleci.com/project-id': 'a5',
      'oidc.circleci.com/vcs-origin': 'github.com/acme/web',
      'oidc.circleci.com/vcs-ref': 'refs/heads/main',
      'oidc.circleci.com/ssh-rerun': false,
    },
    rules: [
      [
        ...(['the default branch', 'protected', 'main'] as const),
        [...circleci, 'oidc.circleci.com/vcs-ref: refs/heads/main', 'oidc.circleci.com/ssh-rerun: false'],
      ],
      [...(['branches', 'branch', 'branch/{oidc.circleci.com/vcs-ref}'] as const), circleci],
    ],
  },
];

export const trustRulePresets: readonly TrustRulePreset[] = systems.flatMap(({ name, issuer, rules }) =>
  rules.map(([what, trust, scope, claims]) => ({
    id: `${name}: ${what}`,
    system: name,
    ...{ what, issuer, trust, scope },
    claims: claims.join('\n'),
  })),
);

/** What an id token of an issuer may say, as far as it is known. */
export function sampleOf(issuer: string): Readonly<Record<string, unknown>> {
  const known = systems.find((each) => issuer !== '' && issuer.startsWith(each.issuer.replace(/<.*$/, '')));
  return known?.sample ?? {};
}
