import type { MissChange } from './miss-cause.ts';

/** Files that builds hardly ever read, with the line that leaves them out. */
const seldom: readonly (readonly [RegExp, string])[] = [
  [/^\.git(?:\/|$)/, '.git'],
  [/^\.github(?:\/|$)/, '.github'],
  [/^\.gitlab-ci\.yml$/, '.gitlab-ci.yml'],
  [/^\.circleci(?:\/|$)/, '.circleci'],
  [/^\.buildkite(?:\/|$)/, '.buildkite'],
  [/^\.idea(?:\/|$)/, '.idea'],
  [/^\.vscode(?:\/|$)/, '.vscode'],
  [/^coverage(?:\/|$)/, 'coverage'],
  [/^\.nyc_output(?:\/|$)/, '.nyc_output'],
  [/(?:^|\/)\.DS_Store$/, '**/.DS_Store'],
  [/(?:^|\/)__pycache__(?:\/|$)/, '**/__pycache__'],
  [/(?:^|\/)\.(?:pytest|mypy|ruff)_cache(?:\/|$)/, '**/.*_cache'],
  [/(?:^|\/)npm-debug\.log[^/]*$/, '**/npm-debug.log*'],
  [/(?:^|\/)\.[^/]+\.sw[op]$/, '**/.*.sw[op]'],
  [/^Dockerfile$/, 'Dockerfile'],
  [/^\.dockerignore$/, '.dockerignore'],
  [/^(?:docker-)?compose\.ya?ml$/, '*compose.y*ml'],
  [/^docker-bake\.hcl$/, 'docker-bake.hcl'],
];
const MODULES = /(?:^|\/)node_modules(?:\/|$)/;

/**
 * Lines of .dockerignore that leave out all that changed; none where a file among it may be wanted, or not all are named.
 * @param installs a step below fetches what the project depends on itself
 */
export function leftOut(
  { total, files }: Extract<MissChange, { kind: 'files' }>,
  installs: boolean,
): readonly string[] {
  if (files.length === 0 || total > files.length) return [];
  const lines = new Set<string>();
  for (const { path, from } of files) {
    for (const each of from === undefined ? [path] : [path, from]) {
      const line = installs && MODULES.test(each) ? '**/node_modules' : seldom.find(([form]) => form.test(each))?.[1];
      if (line === undefined) return [];
      lines.add(line);
    }
  }
  return [...lines];
}
