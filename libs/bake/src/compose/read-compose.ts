import { bakeError } from '../position.ts';
import { checkName } from '../instances.ts';
import { placed } from '../hcl/evaluate.ts';
import { own } from '../own.ts';
import type { Config, Group, NamedTarget } from '../target.ts';
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
  const lookup: Lookup = (name) => outside(name) ?? fromFile.get(name);
  const [merged, ...more] = files.map(({ name, text }) => checked(parseComposeFile(text, name, lookup), name));
  const whole = more.reduce((before, next) => mergeLocated(before, next, []), merged ?? noFile(first.name));
  const root = objectOf(whole, 'a compose file');
  const services = objectOf(root.get('services'), 'services');
  const secrets = objectOf(root.get('secrets'), 'secrets');
  const targets = [...services].flatMap(([name, service]): readonly NamedTarget[] => {
    const extended = extend(name, service, services, []);
    const build = objectOf(extended, name).get('build');
    if (build === undefined || build.value === null) return [];
    const targetName = placed(service.at, () => checkName(name.replaceAll('.', '_')));
    const options = { secrets, lookup, readFile: around.readFile };
    return [{ name: targetName, target: serviceTarget(objectOf(extended, name), options) }];
  });
  const group: Group = { name: 'default', targets: targets.map(({ name }) => name) };
  return { groups: services.size === 0 ? [] : [group], targets };
}

function noFile(name: string): never {
  throw bakeError(`${name} is empty`);
}

function checked(located: Located, name: string): Located {
  const root = objectOf(located, 'a compose file');
  if (root.size === 0) throw bakeError(`${name} is empty`, located.at, 'a compose file has services:');
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
