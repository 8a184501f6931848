import type { OutputRequest } from '#protocol';
import { Attributes, nearest } from '#std';
import { usageError } from '../usage.ts';
import { takeAnnotations } from './annotations.ts';
import { csvFields } from './csv-fields.ts';

/** Where a file that the farm made goes. */
export type Destination =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdout' }
  /** unpacked: the files of the image, or an OCI layout */
  | { readonly kind: 'directory'; readonly path: string; readonly content: 'files' | 'layout' }
  /** loaded into Docker or Podman on this machine */
  | { readonly kind: 'load' };

export interface Outputs {
  readonly requests: readonly OutputRequest[];
  /** one for every request of a file, in their order */
  readonly destinations: readonly Destination[];
}

interface ParsedOutput {
  /** undefined for cacheonly */
  readonly request: OutputRequest | undefined;
  readonly destination?: Destination;
}

export interface OutputFlags {
  readonly output: readonly string[];
  /** the short way to say `type=image,push=true` */
  readonly push: boolean;
  /** the short way to say `type=docker` without a dest */
  readonly load: boolean;
}

const types = ['image', 'registry', 'oci', 'docker', 'tar', 'local', 'cacheonly'];

/**
 * `--output` as docker buildx has it.
 * @throws KilnError INVALID_ARGUMENT naming the type or the attribute that is not known
 */
export function parseOutputs({ output, push, load }: OutputFlags): Outputs {
  const parsed = output.map(parseOutput);
  if (load && !parsed.some(({ destination }) => destination?.kind === 'load'))
    parsed.push({ request: { type: 'docker' }, destination: { kind: 'load' } });
  const requests = parsed
    .flatMap(({ request }) => request ?? [])
    .map((request) => (request.type === 'image' && push ? { ...request, push } : request));
  if (push && !requests.some(({ type }) => type === 'image')) requests.push({ type: 'image', push });
  const destinations = parsed.flatMap(({ destination }) => destination ?? []);
  if (destinations.filter(({ kind }) => kind === 'stdout').length > 1) {
    throw usageError('two outputs cannot both go to standard output', 'give one of them dest=FILE');
  }
  return { requests, destinations };
}

function parseOutput(value: string): ParsedOutput {
  if (!value.includes('=')) return alone(value);
  const attributes = new Attributes('--output', csvFields(value));
  const type = attributes.take('type') ?? '';
  const parsed = byType(type, attributes);
  attributes.finish();
  return parsed;
}

/** A lone path is docker's short way for type=local, and `-` for a tar on standard output. */
function alone(path: string): ParsedOutput {
  if (path === '') throw usageError('--output is empty', 'such as --output type=oci,dest=image.tar');
  return path === '-'
    ? { request: { type: 'tar' }, destination: { kind: 'stdout' } }
    : { request: { type: 'local' }, destination: { kind: 'directory', path, content: 'files' } };
}

function byType(type: string, attributes: Attributes): ParsedOutput {
  switch (type) {
    case 'image':
    case 'registry':
      return { request: image(type, attributes) };
    case 'oci': {
      const path = attributes.take('dest');
      const asTar = attributes.takeBoolean('tar') ?? true;
      if (!asTar && (path ?? '-') === '-')
        throw usageError('--output type=oci,tar=false needs a directory', 'add dest=DIRECTORY');
      const destination: Destination = asTar
        ? fileOrStdout(path)
        : { kind: 'directory', path: path ?? '', content: 'layout' };
      return { request: { type, ...imageAttributes(attributes) }, destination };
    }
    case 'docker': {
      const path = attributes.take('dest');
      if (attributes.takeBoolean('tar') === false)
        throw usageError('--output type=docker is always a tar', 'type=oci,tar=false writes a directory');
      const destination: Destination = path === undefined ? { kind: 'load' } : fileOrStdout(path);
      return { request: { type, ...imageAttributes(attributes) }, destination };
    }
    case 'tar':
      return { request: { type, ...split(attributes) }, destination: fileOrStdout(attributes.take('dest')) };
    case 'local': {
      const path = attributes.take('dest');
      if (path === undefined || path === '')
        throw usageError('--output type=local needs a directory', 'add dest=DIRECTORY');
      if (!['copy', undefined].includes(attributes.take('mode')))
        throw usageError('--output type=local only adds to its directory', 'leave mode= out');
      return { request: { type, ...split(attributes) }, destination: { kind: 'directory', path, content: 'files' } };
    }
    case 'cacheonly':
      return { request: undefined };
    case '':
      throw usageError('--output needs a type', 'such as --output type=oci,dest=image.tar');
    default: {
      const meant = nearest(type, types);
      throw usageError(
        `--output type=${type} is not known${meant === undefined ? '' : `; did you mean ${meant}?`}`,
        `there are: ${types.join(', ')}`,
      );
    }
  }
}

const fileOrStdout = (path = '-'): Destination => (path === '-' ? { kind: 'stdout' } : { kind: 'file', path });

function split(attributes: Attributes): { readonly platformSplit?: boolean; readonly attestationPrefix?: string } {
  const platformSplit = attributes.takeBoolean('platform-split');
  const attestationPrefix = attributes.take('attestation-prefix');
  if (attestationPrefix?.includes('/') === true)
    throw usageError('--output: attestation-prefix is the beginning of a file name', 'such as attestation-prefix=app-');
  return {
    ...(platformSplit === undefined ? {} : { platformSplit }),
    ...(attestationPrefix === undefined ? {} : { attestationPrefix }),
  };
}

function image(type: 'image' | 'registry', attributes: Attributes): OutputRequest {
  const push = attributes.takeBoolean('push') ?? type === 'registry';
  const pushByDigest = attributes.takeBoolean('push-by-digest');
  const common = imageAttributes(attributes);
  // Images are kept by the farm anyway, and unpacked where a step needs them.
  attributes.takeBoolean('store');
  refuse(attributes, 'unpack', 'images are not unpacked on the farm');
  refuse(attributes, 'name-canonical', 'the digest is in --metadata-file');
  refuse(attributes, 'registry.insecure', 'the farm knows which registries speak plain HTTP: KILN_PLAIN_HTTP');
  const tagged = pushByDigest === true ? common.names?.find(hasTag) : undefined;
  if (tagged !== undefined) {
    throw usageError(`--output: push-by-digest cannot push the tag of ${tagged}`, 'leave the tag out of name=');
  }
  return { type: 'image', push, ...(pushByDigest === undefined ? {} : { pushByDigest }), ...common };
}

export const hasTag = (name: string): boolean => name.lastIndexOf(':') > name.lastIndexOf('/');

/** An attribute that may only ask for what is done anyway. */
function refuse(attributes: Attributes, key: string, why: string): void {
  if (attributes.takeBoolean(key) === true) throw usageError(`--output: ${key}=true is not supported`, why);
}

type ImageAttributes = Omit<Extract<OutputRequest, { readonly type: 'oci' }>, 'type'>;

function imageAttributes(attributes: Attributes): ImageAttributes {
  const compression = readCompression('--output', attributes.take('compression'));
  const compressionLevel = readLevel('--output', attributes.take('compression-level'), compression);
  const forceCompression = attributes.takeBoolean('force-compression');
  const ociMediaTypes = attributes.takeBoolean('oci-mediatypes');
  const ociArtifact = attributes.takeBoolean('oci-artifact');
  const rewriteTimestamp = attributes.takeBoolean('rewrite-timestamp');
  const annotations = takeAnnotations(attributes);
  const names = (attributes.take('name') ?? '').split(',').filter((name) => name !== '');
  refuse(attributes, 'prefer-nondist-layers', 'layers are always distributable');
  if (compression === 'zstd' && ociMediaTypes === false) {
    throw usageError('--output: compression=zstd goes with OCI media types alone', 'leave oci-mediatypes=false out');
  }
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(compressionLevel === undefined ? {} : { compressionLevel }),
    ...(forceCompression === undefined ? {} : { forceCompression }),
    ...(ociMediaTypes === undefined ? {} : { ociMediaTypes }),
    ...(ociArtifact === undefined ? {} : { ociArtifact }),
    ...(rewriteTimestamp === undefined ? {} : { rewriteTimestamp }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(names.length === 0 ? {} : { names }),
  };
}

type Compression = NonNullable<ImageAttributes['compression']>;
const compressions: readonly Compression[] = ['gzip', 'zstd', 'uncompressed'];

export function readCompression(flag: string, value: string | undefined): Compression | undefined {
  if (value === undefined) return undefined;
  const known = compressions.find((each) => each === value);
  if (known === undefined)
    throw usageError(`${flag}: compression=${value} is not known`, `there are: ${compressions.join(', ')}`);
  return known;
}

export function readLevel(
  flag: string,
  value: string | undefined,
  compression: Compression | undefined,
): number | undefined {
  if (value === undefined) return undefined;
  const most = compression === 'zstd' ? 22 : 9;
  const level = /^\d{1,2}$/.test(value) ? Number(value) : Number.NaN;
  if (!(level <= most)) throw usageError(`${flag}: compression-level=${value} is not a number from 0 to ${most}`);
  return level;
}
