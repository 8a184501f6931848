import type { GetSetting } from './settings.ts';

/** The CIs that `kiln ci` knows how to read and how to tell. */
export const ciServices = ['github', 'gitlab', 'buildkite', 'circleci', 'jenkins', 'woodpecker', 'drone'] as const;
export type CiService = (typeof ciServices)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

/** How a CI hands settings to a step: all of them by environment. */
export function settingsOf(service: CiService, environment: Environment): GetSetting {
  switch (service) {
    case 'github':
      // The runner keeps the dashes of inputs' names; a shell may drop such variables.
      return (name) => environment[`INPUT_${underscored(name)}`] ?? environment[`INPUT_${name.toUpperCase()}`];
    case 'woodpecker':
    case 'drone':
      return (name) => environment[`PLUGIN_${underscored(name)}`];
    case 'buildkite':
      return (name) => buildkiteSetting(environment, `BUILDKITE_PLUGIN_KILN_${underscored(name)}`);
    case 'gitlab':
    case 'circleci':
    case 'jenkins':
      return (name) => environment[`KILN_INPUT_${underscored(name)}`];
  }
}

const underscored = (name: string): string => name.toUpperCase().replaceAll('-', '_');

/** A list is `NAME_0`, `NAME_1` …: https://buildkite.com/docs/plugins/writing */
function buildkiteSetting(environment: Environment, name: string): string | readonly string[] | undefined {
  if (environment[name] !== undefined) return environment[name];
  const values: string[] = [];
  for (let n = 0; environment[`${name}_${n}`] !== undefined; n += 1) values.push(environment[`${name}_${n}`] ?? '');
  return values.length === 0 ? undefined : values;
}
