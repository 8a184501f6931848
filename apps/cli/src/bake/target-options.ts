import { isAbsolute, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Entry, PlannedTarget, Target } from '#bake';
import { type BuildFlags, type BuildOptions, checkFlags } from '../build/build-flags.ts';
import type { LinkedSource, Links } from '../build/linked-builds.ts';
import { remoteContext } from '../build/remote-context.ts';
import type { Input } from '../build/stdin.ts';
import { isKilnError, single } from '#std';
import { usageError } from '../usage.ts';

export interface TargetBuild {
  readonly name: string;
  readonly options: BuildOptions;
  /** what a Dockerfile comes from that stands in the bake file */
  readonly stdin: Input;
  /** what the target asks for and has no effect */
  readonly notes: readonly string[];
}

export interface TargetFlags {
  readonly progress: string;
  readonly data?: string | undefined;
  /** entitlements that --allow grants */
  readonly allow: readonly string[];
  readonly call?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What is to be built, as `kiln build` has it: a target each, with those that are its contexts.
 * @throws KilnError INVALID_ARGUMENT naming the target
 */
export function targetBuilds(
  planned: readonly PlannedTarget[],
  flags: TargetFlags,
  environment: Environment,
): readonly TargetBuild[] {
  const targets = new Map(planned.map((each) => [each.name, each.target]));
  const read = new Map(planned.map(({ name, target }) => [name, readTarget(name, target, flags, environment)]));
  return planned
    .filter(({ linked }) => !linked)
    .map(({ name, target }): TargetBuild => {
      const own = read.get(name) ?? readTarget(name, target, flags, environment);
      const links = linksOf(name, targets, read);
      const all = [
        [name, own.options] as const,
        ...[...links.builds].map(([each, { options }]) => [each, options] as const),
      ];
      const run = {
        ...own.options.run,
        secrets: shared(
          'secret',
          all.map(
            ([
              each,
              {
                run: { secrets },
              },
            ]) => [each, secrets],
          ),
        ),
        agents: shared(
          'SSH agent',
          all.map(
            ([
              each,
              {
                run: { agents },
              },
            ]) => [each, agents],
          ),
        ),
      };
      return { ...own, options: { ...own.options, run, links } };
    });
}

/**
 * What a target and its contexts lend, by id: one build has one of each.
 * @throws KilnError INVALID_ARGUMENT where two of them mean another by the same id: steps of one would be given the other's
 */
function shared<T extends { readonly id: string }>(
  what: string,
  all: readonly (readonly [string, readonly T[]])[],
): readonly T[] {
  const found = new Map<string, { readonly of: string; readonly lent: T }>();
  for (const [of, lent] of all)
    for (const each of lent) {
      const known = found.get(each.id);
      if (known !== undefined && !isDeepStrictEqual(known.lent, each)) {
        throw usageError(
          `target ${known.of}: its ${what} ${each.id} is another than that of its context ${of}`,
          'give one of them another id: steps find what they are lent by it',
        );
      }
      if (known === undefined) found.set(each.id, { of, lent: each });
    }
  return [...found.values()].map(({ lent }) => lent);
}

const linkOf = (value: string): string | undefined => /^target:(.*)$/s.exec(value)?.[1];

function links(target: Target): Record<string, string> {
  return Object.fromEntries(
    Object.entries(target.contexts ?? {}).flatMap(([name, value]) => {
      const other = linkOf(value);
      return other === undefined ? [] : [[name, other]];
    }),
  );
}

/** All that a target needs, directly or not. */
function linksOf(name: string, targets: ReadonlyMap<string, Target>, read: ReadonlyMap<string, TargetBuild>): Links {
  const builds = new Map<string, LinkedSource>();
  const visit = (of: string): void => {
    for (const other of Object.values(links(targets.get(of) ?? {}))) {
      const found = read.get(other);
      const target = targets.get(other);
      if (builds.has(other) || found === undefined || target === undefined) continue;
      builds.set(other, { options: found.options, stdin: found.stdin, links: links(target) });
      visit(other);
    }
  };
  visit(name);
  return { contexts: links(targets.get(name) ?? {}), builds };
}

function readTarget(name: string, target: Target, flags: TargetFlags, environment: Environment): TargetBuild {
  checkEntitlements(name, target, flags.allow);
  const path = localPath(target.context ?? '.');
  const inline = target['dockerfile-inline'];
  const stdin = inputOf(inline ?? '');
  if (path === '-' || target.dockerfile === '-')
    throw usageError(`the target ${name} cannot come from standard input`, 'a bake file may: kiln bake -f -');
  const given = { ...flagsOf(target, environment), cache: target['no-cache'] !== true };
  const file = inline === undefined ? fileOf(path, target.dockerfile ?? 'Dockerfile') : '-';
  try {
    const options = checkFlags(path, buildFlags({ ...given, file }, target, flags), environment);
    return { name, options, stdin, notes: notesOf(target) };
  } catch (thrown) {
    throw named(name, thrown);
  }
}

/** Read by the target itself, and by those that it is a context of. */
const inputOf = (text: string): Input => ({
  isTerminal: false,
  stream: { [Symbol.asyncIterator]: () => single(Buffer.from(text))[Symbol.asyncIterator]() },
});

/** Wrong use, told with the target that it is of. */
export function named(name: string, thrown: unknown): unknown {
  if (!isKilnError(thrown, 'INVALID_ARGUMENT') || thrown.message.startsWith(`target ${name}: `)) return thrown;
  // A build's hint is about its flags.
  const missing = thrown.message.startsWith('the Dockerfile ');
  const hint = missing ? 'dockerfile is relative to the context of the target' : thrown.hint;
  return usageError(`target ${name}: ${thrown.message}`, hint, thrown);
}

function buildFlags(given: Partial<BuildFlags>, target: Target, { progress, data, call }: TargetFlags): BuildFlags {
  const { network = 'default' } = target;
  const method = call ?? target.call;
  return {
    ...given,
    network,
    progress,
    cache: given.cache ?? true,
    ...(data === undefined ? {} : { data }),
    ...(method === undefined ? {} : { call: method }),
  };
}

const localPath = (context: string): string => (context === 'cwd://' ? '.' : context.replace(/^cwd:\/\//, ''));

/** Relative to its context, as in docker; `cwd://` is relative to the working directory. */
function fileOf(path: string, dockerfile: string): string {
  if (dockerfile.startsWith('cwd://')) return localPath(dockerfile);
  return remoteContext(path) !== undefined || isAbsolute(dockerfile) ? dockerfile : join(path, dockerfile);
}

function flagsOf(target: Target, environment: Environment): Partial<BuildFlags> {
  const texts = (entries: readonly Entry[] = []): readonly string[] => entries.map(csv);
  const pairs = (map: Readonly<Record<string, string>> = {}): readonly string[] =>
    Object.entries(map).map(([key, value]) => `${key}=${value}`);
  const epoch = environment['SOURCE_DATE_EPOCH'];
  const args = epoch === undefined || epoch === '' ? target.args : { SOURCE_DATE_EPOCH: epoch, ...target.args };
  const contexts = Object.entries(target.contexts ?? {}).filter(([, value]) => linkOf(value) === undefined);
  const cpus = cpusOf(target.resources ?? {});
  return {
    buildArg: pairs(args),
    buildContext: contexts.map(([name, value]) => `${name}=${localPath(value)}`),
    label: pairs(target.labels),
    annotation: target.annotations ?? [],
    tag: target.tags ?? [],
    platform: target.platforms ?? [],
    output: texts(target.output),
    attest: texts(target.attest),
    cacheFrom: texts(target['cache-from']),
    cacheTo: texts(target['cache-to']),
    cacheFilter: target['no-cache-filter'] ?? [],
    pull: target.pull === true,
    secret: (target.secret ?? []).map((secret) => csv({ ...secret })),
    ssh: (target.ssh ?? []).map(({ id, paths = [] }) => (paths.length === 0 ? id : `${id}=${paths.join(',')}`)),
    allow: target.entitlements ?? [],
    addHost: Object.entries(target['extra-hosts'] ?? {}).flatMap(([name, value]) =>
      value.split(',').map((address) => `${name}=${address}`),
    ),
    ulimit: target.ulimits ?? [],
    ...(target.target === undefined ? {} : { target: target.target }),
    ...(target['shm-size'] === undefined ? {} : { shmSize: target['shm-size'] }),
    ...(target.resources?.['memory'] === undefined ? {} : { memory: target.resources['memory'] }),
    ...(cpus === undefined ? {} : { cpus }),
  };
}

/** In the order in which people write them, with quotes where a comma needs them. */
function csv(entry: Readonly<Record<string, string>>): string {
  const { type, ...rest } = entry;
  const fields = [...(type === undefined ? [] : [['type', type]]), ...Object.entries(rest)].map(
    ([key = '', value = '']) => `${key}=${value}`,
  );
  return fields.map((field) => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',');
}

function cpusOf(resources: Readonly<Record<string, string>>): string | undefined {
  const quota = Number(resources['cpu-quota'] ?? 0);
  const period = Number(resources['cpu-period'] ?? 100_000);
  return quota > 0 && period > 0 ? String(quota / period) : undefined;
}

function notesOf({ resources = {} }: Target): readonly string[] {
  const idle = Object.keys(resources).filter((key) => !['memory', 'cpu-quota', 'cpu-period'].includes(key));
  return [
    ...(idle.length === 0
      ? []
      : [`resources ${idle.join(', ')} have no effect: memory, cpu-quota and cpu-period limit RUN steps`]),
  ];
}

function checkEntitlements(name: string, { entitlements = [] }: Target, allowed: readonly string[]): void {
  const missing = entitlements.filter((each) => !allowed.includes(each));
  if (missing.length === 0) return;
  const flags = missing.map((each) => `--allow=${each}`).join(' ');
  throw usageError(
    `the target ${name} asks for more than the sandbox gives: ${missing.join(', ')}`,
    `grant it with ${flags}`,
  );
}
