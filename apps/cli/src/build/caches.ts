import type { CacheTarget } from '#protocol';
import { Attributes, nearest } from '#std';
import { usageError } from '../usage.ts';
import { csvFields } from './csv-fields.ts';
import { type Destination, readCompression, readLevel } from './outputs.ts';

/** What one `--cache-from` says. */
export type GivenCache =
  | { readonly type: 'registry'; readonly ref: string }
  | { readonly type: 'local'; readonly path: string; readonly tag: string; readonly digest: string | undefined };

export interface CacheTargets {
  readonly requests: readonly CacheTarget[];
  /** one for every cache that comes as a file, in their order */
  readonly destinations: readonly Destination[];
}

const sources = ['registry', 'local'];
const targets = ['registry', 'inline', 'local'];
const CLOUD = ['gha', 's3', 'azblob'];

/** `--cache-from` as docker buildx has it. @throws KilnError INVALID_ARGUMENT */
export function readCacheSources(values: readonly string[]): readonly GivenCache[] {
  return values.flatMap((value): GivenCache[] => {
    const fields = csvFields(value);
    // docker's short way: names of images alone
    if (fields.every((field) => !field.includes('=')))
      return fields.map((ref) => ({ type: 'registry', ref: named(ref) }));
    const attributes = new Attributes('--cache-from', fields);
    const source = sourceOf(attributes);
    attributes.finish();
    return [source];
  });
}

function named(ref: string): string {
  if (ref === '') throw usageError('--cache-from is empty', 'such as --cache-from type=registry,ref=user/app:cache');
  return ref;
}

function sourceOf(attributes: Attributes): GivenCache {
  const type = attributes.take('type') ?? '';
  switch (type) {
    case 'registry': {
      const ref = required(attributes, '--cache-from', 'ref');
      refuseInsecure(attributes, '--cache-from');
      return { type, ref };
    }
    case 'local': {
      const path = required(attributes, '--cache-from', 'src');
      return { type, path, tag: attributes.take('tag') ?? 'latest', digest: attributes.take('digest') };
    }
    case 'inline':
      throw usageError('--cache-from type=inline is not known', 'name the image: --cache-from type=registry,ref=IMAGE');
    default:
      throw unknownType('--cache-from', type, sources);
  }
}

/** `--cache-to` as docker buildx has it. @throws KilnError INVALID_ARGUMENT */
export function readCacheTargets(values: readonly string[]): CacheTargets {
  const parsed = values.flatMap(readTarget);
  return {
    requests: parsed.map(({ request }) => request),
    destinations: parsed.flatMap(({ destination }) => destination ?? []),
  };
}

interface ParsedTarget {
  readonly request: CacheTarget;
  readonly destination?: Destination;
}

function readTarget(value: string): readonly ParsedTarget[] {
  const fields = csvFields(value);
  if (fields.every((field) => field !== '' && !field.includes('='))) {
    return fields.map((ref) => ({ request: { type: 'registry', ref, mode: 'min', ignoreError: false } }));
  }
  const attributes = new Attributes('--cache-to', fields);
  const parsed = targetOf(attributes);
  attributes.finish();
  return [parsed];
}

function targetOf(attributes: Attributes): ParsedTarget {
  const type = attributes.take('type') ?? '';
  switch (type) {
    case 'registry': {
      const ref = required(attributes, '--cache-to', 'ref');
      refuseInsecure(attributes, '--cache-to');
      return { request: { type, ref, ...options(attributes) } };
    }
    case 'inline':
      if (attributes.take('mode') === 'max')
        throw usageError('--cache-to type=inline has the layers of the image alone', 'type=registry,mode=max has all');
      return { request: { type } };
    case 'local': {
      const path = required(attributes, '--cache-to', 'dest');
      const tag = attributes.take('tag') ?? 'latest';
      const destination: Destination = { kind: 'directory', path, content: 'layout' };
      return { request: { type, tag, ...options(attributes) }, destination };
    }
    default:
      throw unknownType('--cache-to', type, targets);
  }
}

type Options = Omit<Extract<CacheTarget, { readonly type: 'registry' }>, 'type' | 'ref'>;

function options(attributes: Attributes): Options {
  const compression = readCompression('--cache-to', attributes.take('compression'));
  const compressionLevel = readLevel('--cache-to', attributes.take('compression-level'), compression);
  const forceCompression = attributes.takeBoolean('force-compression');
  const imageManifest = attributes.takeBoolean('image-manifest');
  const ociMediaTypes = attributes.takeBoolean('oci-mediatypes');
  if (ociMediaTypes === false && (compression === 'zstd' || imageManifest === true)) {
    const what = imageManifest === true ? 'image-manifest=true' : 'compression=zstd';
    throw usageError(`--cache-to: ${what} goes with OCI media types alone`, 'leave oci-mediatypes=false out');
  }
  return {
    mode: readMode(attributes.take('mode')),
    ...(compression === undefined ? {} : { compression }),
    ...(compressionLevel === undefined ? {} : { compressionLevel }),
    ...(forceCompression === undefined ? {} : { forceCompression }),
    ...(imageManifest === undefined ? {} : { imageManifest }),
    ...(ociMediaTypes === undefined ? {} : { ociMediaTypes }),
    ignoreError: attributes.takeBoolean('ignore-error') ?? false,
  };
}

function readMode(value = 'min'): 'min' | 'max' {
  if (value === 'min' || value === 'max') return value;
  throw usageError(`--cache-to: mode=${value} is not known`, 'there are: min, max');
}

function required(attributes: Attributes, flag: string, key: string): string {
  const value = attributes.take(key) ?? '';
  if (value === '') throw usageError(`${flag} needs ${key}=`, `add ${key}=${key === 'ref' ? 'IMAGE' : 'DIRECTORY'}`);
  return value;
}

function refuseInsecure(attributes: Attributes, flag: string): void {
  if (attributes.takeBoolean('registry.insecure') === true)
    throw usageError(
      `${flag}: registry.insecure=true is not supported`,
      'the farm knows which registries speak plain HTTP: KILN_PLAIN_HTTP',
    );
}

function unknownType(flag: string, type: string, known: readonly string[]): Error {
  if (CLOUD.includes(type)) {
    return usageError(
      `${flag} type=${type} is not supported`,
      'every build of the farm reads and writes one cache, so leave it out; for builders elsewhere there are type=registry and type=local',
    );
  }
  if (type === '') return usageError(`${flag} needs a type`, `such as ${flag} type=registry,ref=user/app:cache`);
  const meant = nearest(type, known);
  return usageError(
    `${flag} type=${type} is not known${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    `there are: ${known.join(', ')}`,
  );
}
