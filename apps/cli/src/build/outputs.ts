import type { OutputRequest } from '#protocol';
import { usageError } from '../usage.ts';

/** Where a file that the farm made goes: a path, or standard output. */
export type Destination = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'stdout' };

export interface Outputs {
  readonly requests: readonly OutputRequest[];
  /** one for every request of a file, in their order */
  readonly destinations: readonly Destination[];
  /** further tags, from `name=` */
  readonly names: readonly string[];
}

interface ParsedOutput {
  readonly request: OutputRequest;
  readonly destination?: Destination;
  readonly names: readonly string[];
}

const later = ['docker', 'tar', 'local', 'cacheonly'];

/**
 * `--output` as docker buildx has it, with `--push` as the short way to say `type=image,push=true`.
 * @throws KilnError INVALID_ARGUMENT naming the type or the attribute that is not known or not there yet
 */
export function parseOutputs(values: readonly string[], push: boolean): Outputs {
  const parsed = values.map(parseOutput);
  const requests = parsed.map(({ request }) => (request.type === 'image' && push ? { ...request, push } : request));
  if (push && !requests.some(({ type }) => type === 'image')) requests.push({ type: 'image', push });
  const destinations = parsed.flatMap(({ destination }) => destination ?? []);
  if (destinations.filter(({ kind }) => kind === 'stdout').length > 1) {
    throw usageError('two outputs cannot both go to standard output', 'give one of them dest=FILE');
  }
  return { requests, destinations, names: parsed.flatMap(({ names }) => names) };
}

function parseOutput(value: string): ParsedOutput {
  const attributes = readAttributes(value);
  const take = (key: string): string | undefined => {
    const found = attributes.get(key);
    attributes.delete(key);
    return found;
  };
  const type = take('type') ?? '';
  const parsed = byType(type, take);
  const unknown = [...attributes.keys()][0];
  if (unknown !== undefined) throw usageError(`--output type=${type} with ${unknown}= is not supported yet`);
  return parsed;
}

function byType(type: string, take: (key: string) => string | undefined): ParsedOutput {
  switch (type) {
    case 'oci': {
      if (!readBoolean('tar', take('tar') ?? 'true'))
        throw usageError('--output type=oci,tar=false is not available yet');
      const dest = take('dest') ?? '-';
      const destination: Destination = dest === '-' ? { kind: 'stdout' } : { kind: 'file', path: dest };
      return { request: { type: 'oci' }, destination, names: namesOf(take('name')) };
    }
    case 'image':
    case 'registry': {
      const push = readBoolean('push', take('push') ?? String(type === 'registry'));
      return { request: { type: 'image', push }, names: namesOf(take('name')) };
    }
    case '':
      throw usageError('--output needs a type', 'such as --output type=oci,dest=image.tar');
    default: {
      const why = later.includes(type) ? 'is not available yet' : 'is not known';
      throw usageError(`--output type=${type} ${why}`, 'there are: oci, image, registry');
    }
  }
}

const namesOf = (value: string | undefined): readonly string[] =>
  value === undefined || value === '' ? [] : value.split(',');

/** Comma-separated `key=value`; a pair with commas in it stands in quotes. A lone path is docker's short way for type=local. */
function readAttributes(value: string): Map<string, string> {
  const attributes = new Map<string, string>();
  if (!value.includes('=')) return attributes.set('type', value === '-' ? 'tar' : 'local');
  for (const [, quoted, plain] of value.matchAll(/"([^"]*)"|([^,"]+)/g)) {
    const pair = quoted ?? plain ?? '';
    const equals = pair.indexOf('=');
    if (equals < 1) throw usageError(`--output: not key=value: ${JSON.stringify(pair)}`);
    attributes.set(pair.slice(0, equals).trim().toLowerCase(), pair.slice(equals + 1));
  }
  return attributes;
}

function readBoolean(key: string, value: string): boolean {
  if (['true', '1', 't'].includes(value.toLowerCase())) return true;
  if (['false', '0', 'f'].includes(value.toLowerCase())) return false;
  throw usageError(`--output: ${key}=${value} is neither true nor false`);
}
