import { type Attributes, nearest } from '#std';
import { usageError } from '../usage.ts';

const targets = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'];

/**
 * `--annotation [TARGET[,TARGET…]:]KEY=VALUE` as the request has it: one `TARGET:KEY` each. A target may name a platform:
 * `manifest[linux/amd64]`.
 * @throws KilnError INVALID_ARGUMENT
 */
export function readAnnotations(values: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const value of values) {
    const equals = value.indexOf('=');
    if (equals < 1) throw usageError(`--annotation: not KEY=VALUE: ${JSON.stringify(value)}`);
    const name = value.slice(0, equals);
    // A key may have colons of its own; with dots or slashes before them they are no targets.
    const match = /^([a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):(?!\/\/)(\S+)$/.exec(name);
    const key = match?.[2] ?? name;
    for (const target of match?.[1]?.split(',') ?? ['manifest'])
      found[`${checked(target)}:${key}`] = value.slice(equals + 1);
  }
  return found;
}

/** `annotation.KEY=`, `annotation-index.KEY=`, `annotation-manifest[linux/amd64].KEY=` … of an output. */
export function takeAnnotations(attributes: Attributes): Record<string, string> | undefined {
  const taken = attributes.takeAll(/^annotation(?:-([a-z-]+))?(\[[^\]]*\])?\.(\S+)$/);
  if (taken.length === 0) return undefined;
  return Object.fromEntries(
    taken.map(([[, target = 'manifest', platform = '', key = ''], value]) => [
      `${checked(target)}${platform}:${key}`,
      value,
    ]),
  );
}

function checked(target: string): string {
  const name = target.replace(/\[.*$/, '');
  if (targets.includes(name)) return target;
  const meant = nearest(name, targets);
  throw usageError(
    `annotations have no target ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    `there are: ${targets.join(', ')}`,
  );
}
