import { KilnError, nearest } from '#std';
import { isPattern, matches } from './match.ts';
import { mergeTargets, normalTarget } from './merge.ts';
import { type Overrides, withOverrides } from './overrides.ts';
import type { Config, Group, MutableTarget, Target } from './target.ts';

/** A target as it is built. */
export interface PlannedTarget {
  readonly name: string;
  readonly target: Target;
  /** nobody asked for it, and it has no output: it is a context of another */
  readonly linked: boolean;
}

export interface Resolved {
  readonly groups: readonly Group[];
  /** by name; what a target links to is among them */
  readonly targets: readonly PlannedTarget[];
}

/**
 * What is built when these targets and groups are asked for.
 * @throws KilnError INVALID_ARGUMENT for one that there is not, and for a circle
 */
export function resolveTargets(config: Config, asked: readonly string[], overrides: Overrides): Resolved {
  const names = [...new Set(asked.map((name) => name.replaceAll('.', '_')).flatMap((name) => matching(config, name)))];
  const groups = new Map<string, Group>();
  const targets = new Map<string, PlannedTarget>();
  for (const name of names) {
    const found = expandGroup(config, name, new Map());
    for (const target of new Set(found.targets))
      targets.set(target, { name: target, target: resolveTarget(config, target, overrides), linked: false });
    for (const group of found.groups) {
      const known = config.groups.find((each) => each.name === group);
      if (known !== undefined && !groups.has(group)) groups.set(group, known);
    }
  }
  groups.set('default', defaultGroup(groups.get('default'), names));
  const linking = { config, overrides, targets, linked: new Set<string>() };
  for (const name of [...targets.keys()]) link(name, linking, []);
  return { groups: [...groups.values()], targets: [...targets.values()] };
}

/** What was asked for is the default of what is shown. */
function defaultGroup(known: Group | undefined, names: readonly string[]): Group {
  const more = names.filter((name) => name !== 'default' || known === undefined);
  return { ...known, name: 'default', targets: [...new Set([...(known?.targets ?? []), ...more])].sort() };
}

function matching({ groups, targets }: Config, pattern: string): readonly string[] {
  if (!isPattern(pattern)) return [pattern];
  const names = [...groups, ...targets].map(({ name }) => name).filter((name) => matches(pattern, name));
  if (names.length === 0)
    throw new KilnError('INVALID_ARGUMENT', `no target matches ${pattern}`, { hint: hintOf({ groups, targets }) });
  return names;
}

function hintOf({ groups, targets }: Config): string {
  const names = [...new Set([...groups, ...targets].map(({ name }) => name))].filter((name) => !name.startsWith('_'));
  return names.length === 0 ? 'the files define no target' : `there are ${names.join(', ')}`;
}

interface Expanded {
  readonly targets: readonly string[];
  readonly groups: readonly string[];
}

function expandGroup(config: Config, name: string, visited: Map<string, Expanded>, depth = 0): Expanded {
  const known = visited.get(name);
  if (known !== undefined) return known;
  const group = config.groups.find((each) => each.name === name);
  if (group === undefined) return { targets: [name], groups: [] };
  // A group of its own name among its targets is the target: a matrix has its label so.
  const itself = config.targets.some((each) => each.name === name);
  deep(depth, `the group ${name}: groups`);
  visited.set(name, { targets: itself ? [name] : [], groups: [] });
  const inner = group.targets.map((each) => {
    const found = expandGroup(config, each, visited, depth + 1);
    return found.targets.length > 0 || config.groups.some((other) => other.name === each)
      ? found
      : { ...found, targets: [each] };
  });
  // Groups that several have are counted once, however they are nested.
  const expanded = {
    targets: [...new Set(inner.flatMap(({ targets }) => targets))],
    groups: [...new Set([name, ...inner.flatMap(({ groups }) => groups)])],
  };
  visited.set(name, expanded);
  return expanded;
}

export function resolveTarget(config: Config, name: string, overrides: Overrides): Target {
  const { inherits: _, ...target } = inherited(config, name, { overrides, visited: new Map(), depth: 0 }) ?? {};
  const { context = '.', dockerfile = '' } = target;
  return { ...target, context, dockerfile: dockerfile === '' ? 'Dockerfile' : dockerfile };
}

/** Longer than any chain that people write. */
const MAX_CHAIN = 200;

function deep(depth: number, what: string): void {
  if (depth > MAX_CHAIN)
    throw new KilnError('INVALID_ARGUMENT', `${what} in a chain of more than ${MAX_CHAIN}: that asks for too much`);
}

interface Inheriting {
  readonly overrides: Overrides;
  /** undefined while it is being found: a circle inherits nothing more */
  readonly visited: Map<string, Target | undefined>;
  readonly depth: number;
}

function inherited(config: Config, name: string, { overrides, visited, depth }: Inheriting): Target | undefined {
  if (visited.has(name)) return visited.get(name);
  deep(depth, `${name}: inherits`);
  visited.set(name, undefined);
  const found = config.targets.find((each) => each.name === name);
  if (found === undefined) {
    const known = [...config.targets, ...config.groups].map((each) => each.name);
    const near = nearest(
      name,
      known.filter((each) => each !== name),
    );
    throw new KilnError(
      'INVALID_ARGUMENT',
      `there is no target ${name}${near === undefined ? '' : `; did you mean ${near}?`}`,
      {
        hint: hintOf(config),
      },
    );
  }
  let target: Target = {};
  for (const base of found.target.inherits ?? []) {
    const other = inherited(config, base, { overrides, visited, depth: depth + 1 });
    // Whom they inherit from is in what they are: it would double with each diamond.
    if (other !== undefined) target = mergeTargets(target, { ...other, inherits: [] });
  }
  target = normalTarget(withOverrides(mergeTargets(target, found.target), overrides.get(name)));
  visited.set(name, target);
  return target;
}

interface Linking {
  readonly config: Config;
  readonly overrides: Overrides;
  readonly targets: Map<string, PlannedTarget>;
  /** those that are done */
  readonly linked: Set<string>;
}

/** Brings in the targets that are contexts of this one. */
function link(name: string, linking: Linking, path: readonly string[]): void {
  const { config, overrides, targets } = linking;
  const planned = targets.get(name);
  if (planned === undefined || linking.linked.has(name)) return;
  deep(path.length, `${name}: contexts`);
  let { target } = planned;
  for (const value of Object.values(target.contexts ?? {})) {
    const other = /^target:(.*)$/s.exec(value)?.[1];
    if (other === undefined) continue;
    if (other === name) throw new KilnError('INVALID_ARGUMENT', `the target ${name} cannot be its own context`);
    if (path.includes(other))
      throw new KilnError(
        'INVALID_ARGUMENT',
        `${[...path, name, other].join(' → ')}: these targets are each other's contexts`,
      );
    if (!targets.has(other)) {
      const found = resolveTarget(config, other, overrides);
      targets.set(other, { name: other, linked: true, target: { ...found, output: [{ type: 'cacheonly' }] } });
    }
    link(other, linking, [...path, name]);
    const linked = targets.get(other)?.target ?? {};
    target = withEntitlements(target, linked);
    checkPlatforms({ name, target }, { name: other, target: linked });
  }
  targets.set(name, { ...planned, target });
  linking.linked.add(name);
}

function withEntitlements(target: Target, { entitlements = [] }: Target): Target {
  if (entitlements.length === 0) return target;
  const merged: MutableTarget = { ...target };
  merged.entitlements = [...new Set([...(target.entitlements ?? []), ...entitlements])];
  return merged;
}

function checkPlatforms(user: { readonly name: string; readonly target: Target }, used: typeof user): void {
  const { platforms: mine = [] } = user.target;
  const { platforms: theirs = [] } = used.target;
  if (mine.length < 2 || theirs.length < 2 || mine.every((platform) => theirs.includes(platform))) return;
  throw new KilnError(
    'INVALID_ARGUMENT',
    `${user.name} is for ${mine.join(', ')}, and its context ${used.name} only for ${theirs.join(', ')}`,
    { hint: `add the platforms to ${used.name}` },
  );
}
