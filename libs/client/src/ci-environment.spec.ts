import { describe, expect, it } from 'vitest';
import { ciEnvironment, type Environment } from './ci-environment.ts';

const sha = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d';
const head = 'f'.repeat(40);

const github = {
  GITHUB_ACTIONS: 'true',
  GITHUB_SERVER_URL: 'https://github.com',
  GITHUB_REPOSITORY: 'acme/web',
  GITHUB_RUN_ID: '77',
  GITHUB_SHA: sha,
  GITHUB_ACTOR: 'ada',
  GITHUB_EVENT_PATH: '/event.json',
};
const ofGithub = { repository: 'https://github.com/acme/web', url: 'https://github.com/acme/web/actions/runs/77' };
const pull = (repo: { full_name: string } | null) => ({
  pull_request: {
    number: 7,
    title: 'Fix it',
    user: { login: 'eve' },
    head: { sha: head, ref: 'fix', repo },
    base: { repo: { full_name: 'acme/web' } },
  },
});
const pullEnv = { ...github, GITHUB_REF: 'refs/pull/7/merge', GITHUB_REF_NAME: '7/merge', GITHUB_HEAD_REF: 'fix' };
const ofPull = { ...ofGithub, branch: 'fix', commit: head, author: 'eve', message: 'Fix it', pullRequest: '7' };

const cases: readonly (readonly [string, Environment, unknown, object])[] = [
  [
    'a push on GitHub',
    { ...github, GITHUB_REF: 'refs/heads/main', GITHUB_REF_NAME: 'main', GITHUB_REF_TYPE: 'branch' },
    { head_commit: { message: 'Say hello\n\nmore', author: { name: 'Ada L' } } },
    { provider: 'github', source: { ...ofGithub, branch: 'main', commit: sha, author: 'Ada L', message: 'Say hello' } },
  ],
  [
    'a tag on GitHub, with a damaged event',
    { ...github, GITHUB_REF: 'refs/tags/v1', GITHUB_REF_NAME: 'v1', GITHUB_REF_TYPE: 'tag' },
    '{',
    { provider: 'github', source: { ...ofGithub, commit: sha, author: 'ada' } },
  ],
  [
    'a pull request on GitHub',
    pullEnv,
    pull({ full_name: 'acme/web' }),
    { provider: 'github', source: ofPull, fork: false },
  ],
  ['a fork’s on GitHub', pullEnv, pull({ full_name: 'eve/web' }), { provider: 'github', source: ofPull, fork: true }],
  ['a fork’s that is gone', pullEnv, pull(null), { provider: 'github', source: ofPull, fork: true }],
  [
    'a pull request on GitHub without its event',
    pullEnv,
    undefined,
    { provider: 'github', source: { ...ofGithub, branch: 'fix', commit: sha, author: 'ada', pullRequest: '7' } },
  ],
  [
    'a branch on GitLab',
    {
      GITLAB_CI: 'true',
      CI_PROJECT_URL: 'https://gitlab.com/acme/web',
      CI_COMMIT_BRANCH: 'main',
      CI_COMMIT_SHA: sha,
      CI_COMMIT_AUTHOR: 'Ada <ada@acme.example>',
      CI_COMMIT_TITLE: 'Say hello',
      CI_JOB_URL: 'https://gitlab.com/acme/web/-/jobs/1',
    },
    undefined,
    {
      provider: 'gitlab',
      source: {
        repository: 'https://gitlab.com/acme/web',
        branch: 'main',
        commit: sha,
        author: 'Ada <ada@acme.example>',
        message: 'Say hello',
        url: 'https://gitlab.com/acme/web/-/jobs/1',
      },
    },
  ],
  [
    'a merge request of a fork on GitLab',
    {
      GITLAB_CI: 'true',
      CI_MERGE_REQUEST_IID: '7',
      CI_MERGE_REQUEST_SOURCE_BRANCH_NAME: 'fix',
      CI_MERGE_REQUEST_SOURCE_BRANCH_SHA: head,
      CI_MERGE_REQUEST_SOURCE_PROJECT_PATH: 'eve/web',
      CI_MERGE_REQUEST_PROJECT_PATH: 'acme/web',
      CI_COMMIT_SHA: sha,
    },
    undefined,
    { provider: 'gitlab', source: { branch: 'fix', commit: head, pullRequest: '7' }, fork: true },
  ],
  [
    'Buildkite',
    {
      BUILDKITE: 'true',
      BUILDKITE_REPO: 'git@github.com:acme/web.git',
      BUILDKITE_BRANCH: 'main',
      BUILDKITE_COMMIT: sha,
      BUILDKITE_BUILD_AUTHOR: 'Ada',
      BUILDKITE_MESSAGE: 'Say hello',
      BUILDKITE_PULL_REQUEST: 'false',
      BUILDKITE_BUILD_URL: 'https://buildkite.com/acme/web/builds/3',
      BUILDKITE_JOB_ID: 'j1',
    },
    undefined,
    {
      provider: 'buildkite',
      source: {
        repository: 'git@github.com:acme/web.git',
        branch: 'main',
        commit: sha,
        author: 'Ada',
        message: 'Say hello',
        url: 'https://buildkite.com/acme/web/builds/3#j1',
      },
    },
  ],
  [
    'a pull request on Buildkite before its checkout',
    {
      BUILDKITE: 'true',
      BUILDKITE_REPO: 'git@github.com:acme/web.git',
      BUILDKITE_PULL_REQUEST_REPO: 'https://github.com/acme/web',
      BUILDKITE_BRANCH: 'fix',
      BUILDKITE_COMMIT: 'HEAD',
      BUILDKITE_PULL_REQUEST: '7',
    },
    undefined,
    {
      provider: 'buildkite',
      source: { repository: 'git@github.com:acme/web.git', branch: 'fix', pullRequest: '7' },
      fork: false,
    },
  ],
  [
    'CircleCI',
    {
      CIRCLECI: 'true',
      CIRCLE_BRANCH: 'fix',
      CIRCLE_SHA1: sha,
      CIRCLE_USERNAME: 'ada',
      CIRCLE_PULL_REQUEST: 'https://github.com/acme/web/pull/7',
      CIRCLE_BUILD_URL: 'https://circleci.com/gh/acme/web/5',
    },
    undefined,
    {
      provider: 'circleci',
      source: {
        branch: 'fix',
        commit: sha,
        author: 'ada',
        pullRequest: '7',
        url: 'https://circleci.com/gh/acme/web/5',
      },
      fork: false,
    },
  ],
  [
    'a fork’s pull request on CircleCI',
    { CIRCLECI: 'true', CIRCLE_BRANCH: 'pull/7', CIRCLE_PR_NUMBER: '7' },
    undefined,
    { provider: 'circleci', source: { branch: 'pull/7', pullRequest: '7' }, fork: true },
  ],
  [
    'a branch on Jenkins',
    {
      JENKINS_URL: 'https://ci.acme.example/',
      GIT_BRANCH: 'origin/main',
      GIT_COMMIT: sha,
      GIT_URL: 'https://ada:secret@git.acme.example/web.git',
      BUILD_URL: 'https://ci.acme.example/job/web/3/',
    },
    undefined,
    {
      provider: 'jenkins',
      source: {
        branch: 'main',
        commit: sha,
        repository: 'https://git.acme.example/web.git',
        url: 'https://ci.acme.example/job/web/3/',
      },
    },
  ],
  [
    'a change on Jenkins',
    {
      JENKINS_URL: 'x',
      BRANCH_NAME: 'PR-7',
      CHANGE_ID: '7',
      CHANGE_BRANCH: 'fix',
      CHANGE_FORK: 'eve',
      GIT_COMMIT: sha,
    },
    undefined,
    { provider: 'jenkins', source: { branch: 'fix', commit: sha, pullRequest: '7' }, fork: true },
  ],
  [
    'a pull request on Woodpecker',
    {
      CI: 'woodpecker',
      CI_REPO_URL: 'https://git.acme.example/web',
      CI_COMMIT_BRANCH: 'main',
      CI_COMMIT_SOURCE_BRANCH: 'fix',
      CI_COMMIT_SHA: sha,
      CI_COMMIT_PULL_REQUEST: '7',
      CI_PIPELINE_URL: 'https://ci.acme.example/repos/1/pipeline/2',
    },
    undefined,
    {
      provider: 'woodpecker',
      source: {
        repository: 'https://git.acme.example/web',
        branch: 'fix',
        commit: sha,
        pullRequest: '7',
        url: 'https://ci.acme.example/repos/1/pipeline/2',
      },
    },
  ],
  [
    'Drone',
    { DRONE: 'true', DRONE_BRANCH: 'main', DRONE_COMMIT_SHA: sha, DRONE_COMMIT_AUTHOR: 'ada', DRONE_PULL_REQUEST: '' },
    undefined,
    { provider: 'drone', source: { branch: 'main', commit: sha, author: 'ada' } },
  ],
];

describe('the CI job', () => {
  it.each(cases)('of %s', (_, env, event, expected) => {
    const text = typeof event === 'string' ? event : JSON.stringify(event);
    const read = (path: string) => (path === '/event.json' ? text : undefined);
    expect(ciEnvironment(env, read)).toEqual({ fork: undefined, ...expected });
  });

  it('is none elsewhere', () => {
    expect(ciEnvironment({ CI: 'true', GITHUB_ACTIONS: 'false' }, () => undefined)).toBeUndefined();
  });

  it('never tells what a farm refuses', () => {
    const env = {
      DRONE: 'true',
      DRONE_BRANCH: 'x'.repeat(300),
      DRONE_COMMIT_SHA: 'short',
      DRONE_COMMIT_MESSAGE: `${'long '.repeat(200)}\u0000`,
      DRONE_BUILD_LINK: 'no url',
      DRONE_COMMIT_AUTHOR: 'Ada\u0007',
    };
    const { source } = ciEnvironment(env, () => undefined) ?? {};
    expect(source).toEqual({ message: 'long '.repeat(100), author: 'Ada' });
  });
});
