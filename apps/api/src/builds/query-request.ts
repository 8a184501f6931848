import { type BuildRequestInput, type NamedContext, Priority, readAttestValues, readRunValues } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { many } from '../http/many.ts';

/** `?push`, `?push=true` */
const flag = z.enum(['', 'true', '1', 'false', '0']).optional();
const text = z.string().min(1).optional();
const texts = many(z.array(z.string().min(1)).max(256).optional());

/** What of docker buildx's flags a URL may say, spelt as they are. */
export const QueryFlags = z.strictObject({
  file: text,
  tag: texts,
  push: flag,
  target: text,
  platform: texts,
  'build-arg': texts,
  'build-context': texts,
  label: texts,
  annotation: texts,
  output: many(z.array(z.enum(['oci', 'docker', 'tar', 'local'])).optional()),
  'cache-from': texts,
  'cache-to': texts,
  'no-cache': flag,
  'no-cache-filter': texts,
  pull: flag,
  attest: texts,
  provenance: text,
  sbom: text,
  network: text,
  allow: texts,
  'add-host': texts,
  ulimit: texts,
  'shm-size': text,
  memory: text,
  cpus: text,
  check: flag,
  call: z.enum(['build', 'check', 'outline', 'targets']).optional(),
  repository: text,
  branch: text,
  commit: text,
  author: text,
  'pull-request': text,
  priority: Priority.optional(),
  supersede: flag,
});
type QueryFlags = z.infer<typeof QueryFlags>;

/**
 * The request that the flags of a URL make.
 * @throws KilnError INVALID_ARGUMENT naming the parameter
 */
export function requestOf(flags: QueryFlags): BuildRequestInput {
  const on = (value: z.infer<typeof flag>): boolean => value !== undefined && !['false', '0'].includes(value);
  const { file, target, repository, branch, commit, author, priority } = flags;
  const push = on(flags.push);
  const tags = flags.tag ?? [];
  if (push && tags.length === 0)
    throw wrong('push', 'an image is pushed under its tags, and there is none', 'add tag=');
  const outputs: BuildRequestInput['outputs'] = [
    ...(push ? [{ type: 'image' as const, push }] : []),
    ...(flags.output ?? []).map((type) => ({ type })),
  ];
  const caches = (names: readonly string[] | undefined): { type: 'registry'; ref: string }[] =>
    (names ?? []).map((ref) => ({ type: 'registry', ref }));
  const source = { repository, branch, commit, author, pullRequest: flags['pull-request'] };
  return {
    call: on(flags.check) ? 'check' : (flags.call ?? 'build'),
    ...(file === undefined ? {} : { dockerfile: file }),
    ...(target === undefined ? {} : { target }),
    ...(priority === undefined ? {} : { priority }),
    tags,
    platforms: (flags.platform ?? []).flatMap((each) => each.split(',')),
    buildArgs: pairs('build-arg', flags['build-arg']),
    labels: pairs('label', flags.label),
    annotations: pairs('annotation', flags.annotation),
    contexts: Object.fromEntries(Object.entries(pairs('build-context', flags['build-context'])).map(contextOf)),
    outputs,
    cacheFrom: caches(flags['cache-from']),
    cacheTo: caches(flags['cache-to']),
    attestations: readAttestValues(flags, (name) => name),
    noCache: on(flags['no-cache']),
    noCacheFilter: flags['no-cache-filter'] ?? [],
    pull: on(flags.pull),
    ...readRunValues({ ...flags, addHost: flags['add-host'], shmSize: flags['shm-size'] }, (name) => name),
    source: Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined)),
    supersede: on(flags.supersede),
  };
}

function pairs(field: string, values: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    values.map((value) => {
      const equals = value.indexOf('=');
      // Of a URL only the name may be told: values may be what nobody else should read.
      if (equals < 1) throw wrong(field, 'there is no NAME=VALUE', `write ${field}=NAME=VALUE`);
      return [value.slice(0, equals), value.slice(equals + 1)];
    }),
  );
}

function contextOf([name, value]: readonly [string, string]): [string, NamedContext] {
  const image = /^docker-image:\/\/(.+)$/.exec(value)?.[1];
  const stage = /^target:(.+)$/.exec(value)?.[1];
  if (image !== undefined) return [name.toLowerCase(), { type: 'image', reference: image }];
  if (stage !== undefined) return [name.toLowerCase(), { type: 'target', stage }];
  throw wrong(
    'build-context',
    `${name} is neither docker-image:// nor target:`,
    'send other contexts as parts, with a request in JSON',
  );
}

function wrong(field: string, message: string, hint: string): KilnError {
  return new KilnError('INVALID_ARGUMENT', `${field}: ${message}`, { field, hint });
}
