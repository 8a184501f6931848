import { nearest, parseByteSize } from '#std';
import { bakeError } from '../position.ts';
import { parseEntries } from '../entries.ts';
import type { MutableTarget, Secret, Ssh, Target } from '../target.ts';
import { extendByBake } from './extend-by-bake.ts';
import { clean, contextOf, located, sortedSsh } from './located-values.ts';
import { isList, isObject, type Located, objectOf, pairsOf, switchOf, textOf, textsOf } from './compose-file.ts';
import { parseDotEnv } from './dot-env.ts';
import type { Lookup } from './interpolate.ts';

export interface ServiceOptions {
  readonly secrets: ReadonlyMap<string, Located>;
  readonly lookup: Lookup;
  readonly readFile: ((path: string) => string | undefined) | undefined;
}

const BUILD_FIELDS = [
  ...[
    'context',
    'dockerfile',
    'dockerfile_inline',
    'args',
    'target',
    'labels',
    'cache_from',
    'cache_to',
    'secrets',
    'ssh',
    'tags',
  ],
  ...[
    'platforms',
    'additional_contexts',
    'extra_hosts',
    'network',
    'shm_size',
    'ulimits',
    'no_cache',
    'pull',
    'sbom',
    'provenance',
  ],
  ...['entitlements', 'privileged', 'isolation', 'no_cache_filter'],
];

type Build = ReadonlyMap<string, Located>;

/** `build` of a service as a target. @throws KilnError INVALID_ARGUMENT with the place */
export function serviceTarget(service: ReadonlyMap<string, Located>, options: ServiceOptions): Target {
  const given = service.get('build');
  const build: Build =
    given !== undefined && typeof given.value === 'string' ? new Map([['context', given]]) : objectOf(given, 'build');
  for (const [name, { at }] of build) {
    if (BUILD_FIELDS.includes(name) || name.startsWith('x-')) continue;
    const near = nearest(name, BUILD_FIELDS);
    throw bakeError(`build has no ${name}${near === undefined ? '' : `; did you mean ${near}?`}`, at);
  }
  const target: MutableTarget = {};
  setTexts(target, build);
  setLists(target, build);
  setArguments(target, { build, service, options });
  setEntries(target, { build, options });
  extendByBake(target, build.get('x-bake'));
  const image = textOf(service.get('image'), 'image');
  if ((target.tags ?? []).length === 0 && image !== undefined) target.tags = [image];
  return target;
}

function setTexts(target: MutableTarget, build: Build): void {
  const text = (name: string): string | undefined => textOf(build.get(name), name) || undefined;
  const context = text('context');
  if (context !== undefined) target.context = /^[a-z+]+:|^git@/.test(context) ? context : clean(context);
  const shm = build.get('shm_size');
  const fields = {
    dockerfile: text('dockerfile'),
    'dockerfile-inline': text('dockerfile_inline'),
    target: text('target'),
    network: text('network'),
    'shm-size': shm === undefined ? undefined : bytesText(shm),
    'no-cache': switchOf(build.get('no_cache'), 'no_cache') || undefined,
    pull: switchOf(build.get('pull'), 'pull') || undefined,
  };
  Object.assign(target, Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
}

/** `128m` as Docker's tools show it: 128MiB. */
function bytesText(located: Located): string {
  const text = textOf(located, 'shm_size') ?? '';
  const bytes = parseByteSize(text);
  if (bytes === undefined) throw bakeError(`shm_size: ${text} is no size such as 128m`, located.at);
  let size = bytes;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${Number(size.toPrecision(4))}${units[unit] ?? ''}`;
}

function setLists(target: MutableTarget, build: Build): void {
  for (const name of ['tags', 'platforms', 'entitlements'] as const) {
    const list = textsOf(build.get(name), name);
    if (list !== undefined) target[name] = list;
  }
  const ulimits = [...objectOf(build.get('ulimits'), 'ulimits')].map(([name, value]) => {
    if (!isObject(value.value)) return `${name}=${textOf(value, name) ?? ''}:${textOf(value, name) ?? ''}`;
    return `${name}=${textOf(value.value.get('soft'), 'soft') ?? ''}:${textOf(value.value.get('hard'), 'hard') ?? ''}`;
  });
  if (ulimits.length > 0) target.ulimits = ulimits.toSorted();
}

interface Service {
  readonly build: Build;
  readonly service: ReadonlyMap<string, Located>;
  readonly options: ServiceOptions;
}

function setArguments(target: MutableTarget, { build, service, options }: Service): void {
  const own = serviceEnvironment(service, options);
  const args = [...pairsOf(build.get('args'), 'args')].flatMap(([name, value]): [string, string][] => {
    const found = value ?? own.get(name) ?? options.lookup(name);
    return found === undefined ? [] : [[name, found]];
  });
  if (args.length > 0) target.args = Object.fromEntries(args);
  const labels = [...pairsOf(build.get('labels'), 'labels')].map(([name, value]) => [name, value ?? ''] as const);
  if (labels.length > 0) target.labels = Object.fromEntries(labels);
  const contexts = [...pairsOf(build.get('additional_contexts'), 'additional_contexts')];
  if (contexts.length > 0)
    target.contexts = Object.fromEntries(contexts.map(([name, value]) => [name, contextOf(value ?? '')]));
  const hosts = hostsOf(build.get('extra_hosts'));
  if (hosts !== undefined) target['extra-hosts'] = hosts;
}

function serviceEnvironment(
  service: ReadonlyMap<string, Located>,
  { readFile, lookup }: ServiceOptions,
): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  const files = service.get('env_file');
  const entries = files === undefined ? [] : isList(files.value) ? files.value : [files];
  for (const entry of entries) {
    const long = isObject(entry.value) ? entry.value : undefined;
    const path = textOf(long === undefined ? entry : long.get('path'), 'env_file') ?? '';
    const text = readFile?.(path);
    if (text === undefined) {
      if (switchOf(long?.get('required'), 'required') === false) continue;
      throw bakeError(`env_file: ${path} cannot be read`, entry.at);
    }
    for (const [name, value] of parseDotEnv(text, lookup)) all.set(name, value);
  }
  for (const [name, value] of pairsOf(service.get('environment'), 'environment')) {
    const found = value ?? lookup(name);
    if (found !== undefined) all.set(name, found);
  }
  return all;
}

function hostsOf(located: Located | undefined): Record<string, string> | undefined {
  if (located === undefined) return undefined;
  const hosts = new Map<string, string[]>();
  const add = (name: string, address: string): void => void hosts.set(name, [...(hosts.get(name) ?? []), address]);
  if (isObject(located.value)) {
    for (const [name, value] of located.value)
      for (const address of isList(value.value) ? (textsOf(value, name) ?? []) : [textOf(value, name) ?? ''])
        add(name, address);
  } else
    for (const text of textsOf(located, 'extra_hosts') ?? []) {
      const [, name = text, address = ''] = /^([^:=]+)[:=](.*)$/s.exec(text) ?? [];
      add(name, address.replace(/^\[(.*)\]$/, '$1'));
    }
  return Object.fromEntries([...hosts].map(([name, addresses]) => [name, addresses.join(',')]));
}

function setEntries(target: MutableTarget, { build, options }: Omit<Service, 'service'>): void {
  for (const [name, field] of [
    ['cache_from', 'cache-from'],
    ['cache_to', 'cache-to'],
  ] as const) {
    const texts = textsOf(build.get(name), name);
    if (texts !== undefined && texts.length > 0)
      target[field] = located(build.get(name), () => parseEntries(field, texts));
  }
  const attest = (['sbom', 'provenance'] as const).flatMap((name) => {
    const value = textOf(build.get(name), name);
    if (value === undefined || value === '') return [];
    return [
      value === 'true' || value === 'false'
        ? `type=${name},disabled=${value === 'true' ? 'false' : 'true'}`
        : `type=${name},${value}`,
    ];
  });
  if (attest.length > 0) target.attest = parseEntries('attest', attest);
  const secrets = build.get('secrets');
  if (secrets !== undefined && isList(secrets.value))
    target.secret = secrets.value.map((each) => secretOf(each, options.secrets));
  const ssh = build.get('ssh');
  if (ssh !== undefined) target.ssh = sshOf(ssh);
}

function sshOf(located: Located): readonly Ssh[] {
  const pairs =
    isList(located.value) || isObject(located.value)
      ? pairsOf(located, 'ssh')
      : new Map([[textOf(located, 'ssh') ?? '', null]]);
  return sortedSsh(
    [...pairs].map(([id, path]) => ({ id, ...(path === null || path === '' ? {} : { paths: [path] }) })),
  );
}

function secretOf(located: Located, secrets: ReadonlyMap<string, Located>): Secret {
  const id =
    (isObject(located.value) ? textOf(located.value.get('source'), 'source') : textOf(located, 'secrets')) ?? '';
  const found = secrets.get(id);
  if (found === undefined) {
    const near = nearest(id, [...secrets.keys()]);
    throw bakeError(
      `there is no secret ${id}${near === undefined ? '' : `; did you mean ${near}?`}`,
      located.at,
      'declare it below secrets: of the file',
    );
  }
  const declared = objectOf(found, id);
  if (switchOf(declared.get('external'), 'external') === true)
    throw bakeError(
      `the secret ${id} is external, which a build has no way to`,
      located.at,
      'give it file: or environment:',
    );
  const src = textOf(declared.get('file'), 'file');
  const env = textOf(declared.get('environment'), 'environment');
  // As compose joins it with the folder of its file; from the root on it stays as it is written.
  const path = src === undefined || src.startsWith('/') ? src : clean(src);
  return { id, ...(path === undefined ? {} : { src: path }), ...(env === undefined ? {} : { env }) };
}
