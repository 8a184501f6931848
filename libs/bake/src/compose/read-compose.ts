import { bakeError } from '../position.ts';
import { checkName } from '../instances.ts';
import { placed } from '../hcl/evaluate.ts';
import { own } from '../own.ts';
import { mergeTargets } from '../merge.ts';
import type { Config, Group, Target } from '../target.ts';
import { type Located, objectOf, parseComposeFile, textOf } from './compose-file.ts';
import { parseDotEnv } from './dot-env.ts';
import type { Lookup } from './interpolate.ts';
import { mergeLocated } from './merge-located.ts';
import { serviceTarget } from './service-target.ts';

interface File {
  readonly name: string;
  readonly text: string;
}

export interface ComposeAround {
  readonly variables: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly dotEnv?: string | undefined;
  /** a file that a compose file names; undefined for one that is not there */
  readonly readFile?: ((path: string) => string | undefined) | undefined;
}

/** By its name, or by what it looks like where the name does not tell. */
export function isComposeFile({ name, text }: File): boolean {
  if (/\.ya?ml$/i.test(name)) return true;
  return !/\.(?:json|hcl)$/i.test(name) && /^services[ \t]*:/m.test(text);
}

/**
 * What can be built of the services of compose files, later files over earlier ones.
 * @throws KilnError INVALID_ARGUMENT with file, line and column
 */
export function readCompose(files: readonly File[], around: ComposeAround): Config {
  const [first] = files;
  if (first === undefined) return { groups: [], targets: [] };
  const { variables, environment, dotEnv } = around;
  const outside: Lookup = (name) => own(variables, name) ?? own(environment, name);
  const fromFile = dotEnv === undefined ? new Map<string, string>() : parseDotEnv(dotEnv, outside);
  const given: Lookup = (name) => outside(name) ?? fromFile.get(name);
  const read = (lookup: Lookup): ReadonlyMap<string, Located> => {
    const [merged, ...more] = files.map(({ name, text }) => checked(parseComposeFile(text, name, lookup), name));
    const whole = more.reduce((before, next) => mergeLocated(before, next, []), merged ?? noFile(first.name));
    return objectOf(whole, 'a compose file');
  };
  const unnamed = read(withProject(given, undefined));
  const project = textOf(unnamed.get('name'), 'name');
  const lookup = withProject(given, project);
  const root = project === undefined ? unnamed : read(lookup);
  const services = objectOf(root.get('services'), 'services');
  const secrets = objectOf(root.get('secrets'), 'secrets');
  const targets = new Map<string, Target>();
  for (const [name, service] of services) {
    const extended = objectOf(extend(name, service, services, []), name);
    if (!isSaid(extended.get('build'))) {
      if (isSaid(extended.get('image')) || isSaid(extended.get('provider'))) continue;
      throw bakeError(`the service ${name} has neither an image nor a build`, service.at, 'give it one of them');
    }
    const targetName = placed(service.at, () => checkName(name.replaceAll('.', '_')));
    const target = serviceTarget(extended, { secrets, lookup, readFile: around.readFile });
    const known = targets.get(targetName);
    targets.set(targetName, known === undefined ? target : mergeTargets(known, target));
  }
  const group: Group = { name: 'default', targets: [...targets.keys()] };
  return {
    groups: services.size === 0 ? [] : [group],
    targets: [...targets].map(([name, target]) => ({ name, target })),
  };
}

const isSaid = (located: Located | undefined): boolean =>
  located !== undefined && located.value !== null && located.value !== '';

/** What `${COMPOSE_PROJECT_NAME}` is: the files say it, else the environment. */
const withProject =
  (given: Lookup, project: string | undefined): Lookup =>
  (name) =>
    name === 'COMPOSE_PROJECT_NAME' ? (project ?? given(name) ?? 'bake') : given(name);

function noFile(name: string): never {
  throw bakeError(`${name} is empty`);
}

function checked(located: Located, name: string): Located {
  const root = objectOf(located, 'a compose file');
  if (root.size === 0) throw bakeError(`${name} is empty`, located.at, 'a compose file has services:');
  const services = root.get('services');
  if (services?.value === null) throw bakeError('services has nothing in it', services.at);
  const include = root.get('include');
  if (include !== undefined) throw bakeError('include is not supported', include.at, 'name the other file with -f too');
  return located;
}

/** A service as `extends` makes it. */
function extend(
  name: string,
  service: Located,
  services: ReadonlyMap<string, Located>,
  path: readonly string[],
): Located {
  if (path.includes(name))
    throw bakeError(`${[...path, name].join(' → ')}: these services extend each other`, service.at);
  const given = objectOf(service, name).get('extends');
  if (given === undefined || given.value === null) return service;
  const long = typeof given.value === 'object' ? objectOf(given, 'extends') : undefined;
  if (long?.has('file') === true)
    throw bakeError('extends of another file is not supported', given.at, 'name the other file with -f too');
  const base = textOf(long === undefined ? given : long.get('service'), 'extends') ?? '';
  const found = services.get(base);
  if (found === undefined) throw bakeError(`there is no service ${base} to extend`, given.at);
  return mergeLocated(extend(base, found, services, [...path, name]), service, []);
}
