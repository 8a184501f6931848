import { KilnError, parseByteSize } from '#std';
import { invalid } from '../invalid.ts';
import { didYouMean } from '../parse/suggest.ts';

const types = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const sharings = ['shared', 'private', 'locked'] as const;
const MAX_ID = 2 ** 32 - 1;

/** All that a --mount can say; what it says is checked against its type. */
export interface MountOptions {
  type: (typeof types)[number];
  source: string;
  target: string;
  /** undefined where it is left to the type */
  readonly?: boolean;
  id: string;
  sharing?: (typeof sharings)[number];
  required: boolean;
  sizeBytes?: number;
  env?: string;
  mode?: number;
  uid?: number;
  gid?: number;
}

type Setter = (mount: MountOptions, value: string, key: string) => void;

const setSource: Setter = (mount, value) => (mount.source = value);
const setTarget: Setter = (mount, value) => (mount.target = value);
const setReadonly: Setter = (mount, value, key) => (mount.readonly = booleanOf(key, value));
const setWritable: Setter = (mount, value, key) => (mount.readonly = !booleanOf(key, value));

const setters: Readonly<Record<string, Setter>> = {
  type: (mount, value) => (mount.type = oneOf(types, value, 'mount type')),
  // What it names was found when the stages were planned.
  from: () => {},
  source: setSource,
  src: setSource,
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadonly,
  ro: setReadonly,
  readwrite: setWritable,
  rw: setWritable,
  required: (mount, value, key) => {
    onlyFor(mount, key, 'secret', 'ssh');
    mount.required = booleanOf(key, value);
  },
  size: (mount, value, key) => {
    onlyFor(mount, key, 'tmpfs');
    const bytes = parseByteSize(value);
    if (bytes === undefined) throw invalid(`invalid value for ${key}: ${value}`, { hint: 'such as size=64m' });
    mount.sizeBytes = bytes;
  },
  id: (mount, value) => (mount.id = value),
  sharing: (mount, value) => (mount.sharing = oneOf(sharings, value, 'sharing value')),
  mode: (mount, value) => (mount.mode = numberOf('mode', value, 8)),
  uid: (mount, value) => (mount.uid = numberOf('uid', value, 10)),
  gid: (mount, value) => (mount.gid = numberOf('gid', value, 10)),
  env: (mount, value) => (mount.env = value),
};

/** Keys that may stand without a value. */
const switches = ['readonly', 'ro', 'readwrite', 'rw', 'required'];

/**
 * What the fields of a --mount say, in their order, as BuildKit reads them.
 * @param expand replaces variables in a value
 * @throws KilnError DOCKERFILE_INVALID
 */
export function mountOptions(
  fields: readonly string[],
  from: string | undefined,
  expand: (value: string) => string,
): MountOptions {
  const mount: MountOptions = { type: 'bind', source: '', target: '', id: '', required: false };
  for (const field of fields) {
    const equals = field.indexOf('=');
    const key = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    if (equals === -1 && !switches.includes(key)) {
      throw invalid(`invalid field '${field}' must be a key=value pair`);
    }
    const set = Object.hasOwn(setters, key) ? setters[key] : undefined;
    if (set === undefined) {
      throw invalid(`unexpected key '${key}' in '${field}'${didYouMean(key, Object.keys(setters), false)}`);
    }
    set(mount, equals === -1 ? 'true' : expand(field.slice(equals + 1)), key);
  }
  check(mount, from);
  return mount;
}

function check(mount: MountOptions, from: string | undefined): void {
  const { type, source, target, id, sharing } = mount;
  if (type === 'bind' || type === 'tmpfs') {
    for (const key of ['mode', 'uid', 'gid'] as const) {
      if (mount[key] !== undefined) throw invalid(`${key} not allowed for "${type}" type mounts`);
    }
  }
  if (type === 'secret') {
    if (from !== undefined) throw invalid('secret mount should not have a from');
    if (sharing !== undefined) throw invalid('secret mount should not define sharing');
    if (source === '' && target === '' && id === '') {
      throw invalid('invalid secret mount. one of source, target required', { hint: 'write id=NAME' });
    }
    if (source !== '' && id !== '') throw invalid("both source and id can't be set");
  }
  if (sharing !== undefined && type !== 'cache') throw invalid(`invalid cache sharing set for ${type} mount`);
  if (type === 'ssh' && source !== '') throw invalid('ssh does not support source', { hint: 'write id=NAME' });
}

function onlyFor({ type }: MountOptions, key: string, ...allowed: readonly string[]): void {
  if (allowed.includes(type)) return;
  throw invalid(`unexpected key '${key}' for mount type '${type}'`, {
    hint: `it belongs to ${allowed.map((each) => `type=${each}`).join(' and ')}; type has to stand before it`,
  });
}

function oneOf<T extends string>(known: readonly T[], value: string, what: string): T {
  const found = known.find((each) => each === value.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(`unsupported ${what} ${JSON.stringify(value)}${didYouMean(value, known, false)}`, {
    hint: `there are: ${known.join(', ')}`,
  });
}

function booleanOf(key: string, value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw invalid(`invalid value for ${key}: ${value}`);
}

function numberOf(key: string, value: string, radix: 8 | 10): number {
  const digits = radix === 8 ? /^[0-7]+$/ : /^[0-9]+$/;
  const number = digits.test(value) ? Number.parseInt(value, radix) : Number.NaN;
  if (number <= MAX_ID) return number;
  throw new KilnError('DOCKERFILE_INVALID', `invalid value ${value} for ${key}`);
}
