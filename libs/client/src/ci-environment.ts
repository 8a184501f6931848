import type { BuildSource } from '#protocol';
import { z } from 'zod';
import { type RawSource, toldSource } from './told-source.ts';

export type CiProvider = 'github' | 'gitlab' | 'buildkite' | 'circleci' | 'jenkins' | 'woodpecker' | 'drone';

/** The CI job that a command runs in. */
export interface CiEnvironment {
  readonly provider: CiProvider;
  /** what is built, as far as it is told and fits */
  readonly source: BuildSource;
  /** whether the code is of a fork's pull request; undefined where the system does not say */
  readonly fork: boolean | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;
/** A file's text; undefined when it cannot be read. */
export type ReadText = (path: string) => string | undefined;

interface Told extends RawSource {
  readonly fork?: boolean | undefined;
}

/** Variables that a CI sets for every job. Woodpecker sets those of Drone as well: it comes first. */
const marks: readonly (readonly [string, CiProvider])[] = [
  ['GITHUB_ACTIONS', 'github'],
  ['GITLAB_CI', 'gitlab'],
  ['BUILDKITE', 'buildkite'],
  ['CIRCLECI', 'circleci'],
  ['JENKINS_URL', 'jenkins'],
  ['CI_PIPELINE_FORGE_URL', 'woodpecker'],
  ['DRONE', 'drone'],
];

/** The CI system whose job an environment is of; undefined outside of those that are known. */
export function ciProvider(env: Environment): CiProvider | undefined {
  if (env['CI'] === 'woodpecker') return 'woodpecker';
  return marks.find(([name]) => (env[name] ?? '') !== '' && env[name] !== 'false')?.[1];
}

/** What its CI job says of a build; undefined outside of the systems that are known. */
export function ciEnvironment(env: Environment, read: ReadText): CiEnvironment | undefined {
  const provider = ciProvider(env);
  if (provider === undefined) return undefined;
  const { fork, ...raw } = tell[provider](env, read);
  return { provider, source: toldSource(raw), fork };
}

const either = (...values: readonly (string | undefined)[]): string | undefined =>
  values.find((value) => value !== undefined && value !== '');
const join = (...parts: readonly (string | undefined)[]): string | undefined =>
  parts.every((part) => part !== undefined && part !== '') ? parts.join('') : undefined;

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads, as far as it is read. */
const GithubEvent = z.object({
  pull_request: z
    .object({
      number: z.int(),
      title: z.string().optional(),
      user: z.object({ login: z.string() }).nullish(),
      // null when the fork is gone
      head: z.object({ sha: z.string(), ref: z.string(), repo: z.object({ full_name: z.string() }).nullable() }),
      base: z.object({ repo: z.object({ full_name: z.string() }) }),
    })
    .optional(),
  head_commit: z.object({ message: z.string(), author: z.object({ name: z.string() }) }).nullish(),
});

function github(env: Environment, read: ReadText): Told {
  const event = githubEvent(env['GITHUB_EVENT_PATH'], read);
  const { pull_request: pull, head_commit: head } = event;
  const repository = join(env['GITHUB_SERVER_URL'], '/', env['GITHUB_REPOSITORY']);
  const url = join(repository, '/actions/runs/', env['GITHUB_RUN_ID']);
  const [, number] = /^refs\/pull\/(\d+)\//.exec(env['GITHUB_REF'] ?? '') ?? [];
  const told = { repository, url, author: either(head?.author.name, env['GITHUB_ACTOR']), message: head?.message };
  if (pull === undefined && number === undefined) {
    const branch = env['GITHUB_REF_TYPE'] === 'tag' ? undefined : env['GITHUB_REF_NAME'];
    return { ...told, branch, commit: env['GITHUB_SHA'] };
  }
  return {
    ...told,
    branch: either(pull?.head.ref, env['GITHUB_HEAD_REF']),
    // GITHUB_SHA is a merge that nobody made.
    commit: either(pull?.head.sha, env['GITHUB_SHA']),
    author: either(pull?.user?.login, told.author),
    message: pull?.title,
    pullRequest: pull === undefined ? number : String(pull.number),
    fork: pull === undefined ? undefined : pull.head.repo?.full_name !== pull.base.repo.full_name,
  };
}

function githubEvent(path: string | undefined, read: ReadText): z.infer<typeof GithubEvent> {
  const text = path === undefined ? undefined : read(path);
  if (text === undefined) return {};
  try {
    return GithubEvent.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    // What is told of the source is never a reason to fail.
    return {};
  }
}

/** https://docs.gitlab.com/ci/variables/predefined_variables/ */
function gitlab(env: Environment): Told {
  const pullRequest = env['CI_MERGE_REQUEST_IID'];
  const [from, to] = [env['CI_MERGE_REQUEST_SOURCE_PROJECT_PATH'], env['CI_MERGE_REQUEST_PROJECT_PATH']];
  return {
    repository: env['CI_PROJECT_URL'],
    branch: either(env['CI_MERGE_REQUEST_SOURCE_BRANCH_NAME'], env['CI_COMMIT_BRANCH']),
    // Of a pipeline for the merged result, CI_COMMIT_SHA is a merge that nobody made.
    commit: either(env['CI_MERGE_REQUEST_SOURCE_BRANCH_SHA'], env['CI_COMMIT_SHA']),
    author: env['CI_COMMIT_AUTHOR'],
    message: either(env['CI_MERGE_REQUEST_TITLE'], env['CI_COMMIT_TITLE']),
    pullRequest,
    url: env['CI_JOB_URL'],
    fork: either(pullRequest) === undefined || from === undefined || to === undefined ? undefined : from !== to,
  };
}

/** https://buildkite.com/docs/pipelines/configure/environment-variables */
function buildkite(env: Environment): Told {
  const number = env['BUILDKITE_PULL_REQUEST'];
  const pullRequest = number === 'false' ? undefined : either(number);
  const [repository, from] = [env['BUILDKITE_REPO'], either(env['BUILDKITE_PULL_REQUEST_REPO'])];
  return {
    repository,
    branch: either(env['BUILDKITE_TAG']) === undefined ? env['BUILDKITE_BRANCH'] : undefined,
    // `HEAD` until the checkout has been made.
    commit: env['BUILDKITE_COMMIT'],
    author: either(env['BUILDKITE_BUILD_AUTHOR'], env['BUILDKITE_BUILD_CREATOR']),
    message: env['BUILDKITE_MESSAGE'],
    pullRequest,
    url: either(join(env['BUILDKITE_BUILD_URL'], '#', env['BUILDKITE_JOB_ID']), env['BUILDKITE_BUILD_URL']),
    fork: pullRequest === undefined || from === undefined ? undefined : pathOf(from) !== pathOf(repository ?? ''),
  };
}

/** `acme/web` of `git@github.com:acme/web.git` and `https://github.com/acme/web`: both forms are told of one repository. */
const pathOf = (repository: string): string =>
  repository.replace(/^(?:[a-z+]+:\/\/[^/]*\/|[^/]*:)/, '').replace(/\.git$/, '');

/** https://circleci.com/docs/reference/variables/ */
function circleci(env: Environment): Told {
  const number = either(env['CIRCLE_PR_NUMBER'], /\/(\d+)$/.exec(env['CIRCLE_PULL_REQUEST'] ?? '')?.[1]);
  return {
    repository: env['CIRCLE_REPOSITORY_URL'],
    // Of a fork's pull request it is `pull/7`.
    branch: env['CIRCLE_BRANCH'],
    commit: env['CIRCLE_SHA1'],
    author: env['CIRCLE_USERNAME'],
    pullRequest: number,
    url: env['CIRCLE_BUILD_URL'],
    // It is told of forks alone.
    fork: number === undefined ? undefined : either(env['CIRCLE_PR_NUMBER']) !== undefined,
  };
}

/** https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables and the branch API plug-in's */
function jenkins(env: Environment): Told {
  const pullRequest = either(env['CHANGE_ID']);
  const local = env['GIT_BRANCH']?.replace(/^origin\//, '');
  const branch = pullRequest === undefined ? either(env['BRANCH_NAME'], local) : env['CHANGE_BRANCH'];
  return {
    repository: either(env['GIT_URL'], env['GIT_URL_1']),
    branch: either(env['TAG_NAME']) === undefined ? branch : undefined,
    commit: env['GIT_COMMIT'],
    author: either(env['CHANGE_AUTHOR_DISPLAY_NAME'], env['CHANGE_AUTHOR'], env['GIT_AUTHOR_NAME']),
    message: env['CHANGE_TITLE'],
    pullRequest,
    url: env['BUILD_URL'],
    fork: pullRequest === undefined ? undefined : either(env['CHANGE_FORK']) !== undefined,
  };
}

/** https://woodpecker-ci.org/docs/usage/environment */
function woodpecker(env: Environment): Told {
  const pullRequest = either(env['CI_COMMIT_PULL_REQUEST']);
  const branch = either(env['CI_COMMIT_TAG']) === undefined ? env['CI_COMMIT_BRANCH'] : undefined;
  return {
    repository: env['CI_REPO_URL'],
    branch: pullRequest === undefined ? branch : env['CI_COMMIT_SOURCE_BRANCH'],
    commit: env['CI_COMMIT_SHA'],
    author: env['CI_COMMIT_AUTHOR'],
    message: env['CI_COMMIT_MESSAGE'],
    pullRequest,
    url: either(env['CI_PIPELINE_URL'], env['CI_PIPELINE_FORGE_URL']),
  };
}

/** https://docs.drone.io/pipeline/environment/reference/ */
function drone(env: Environment): Told {
  const pullRequest = either(env['DRONE_PULL_REQUEST']);
  const branch = either(env['DRONE_TAG']) === undefined ? env['DRONE_BRANCH'] : undefined;
  return {
    repository: either(env['DRONE_REPO_LINK'], env['DRONE_GIT_HTTP_URL']),
    // DRONE_BRANCH is where a pull request leads to.
    branch: pullRequest === undefined ? branch : env['DRONE_SOURCE_BRANCH'],
    commit: either(env['DRONE_COMMIT_SHA'], env['DRONE_COMMIT']),
    author: either(env['DRONE_COMMIT_AUTHOR_NAME'], env['DRONE_COMMIT_AUTHOR']),
    message: env['DRONE_COMMIT_MESSAGE'],
    pullRequest,
    url: env['DRONE_BUILD_LINK'],
  };
}

const tell: Readonly<Record<CiProvider, (env: Environment, read: ReadText) => Told>> = {
  ...{ github, gitlab, buildkite, circleci, jenkins, woodpecker, drone },
};
