import { systemCode } from '#std';
import { capabilityFromDisk, capabilityToDisk, CAPABILITY } from './file-capability.ts';
import { kernel } from './libc.ts';
import type { IdShift } from './snapshotter.ts';

/** What a layer keeps: what a step can have set. The kernel's own (trusted.overlay, security.selinux) stay on the node. */
const isKept = (name: string): boolean =>
  name === CAPABILITY || (name.startsWith('user.') && !name.startsWith('user.overlay.'));

export interface DiskXattrs {
  /** in order of names, values in base64; undefined when there is none */
  readonly kept: Readonly<Record<string, string>> | undefined;
  /** all names, the kernel's included */
  readonly names: readonly string[];
}

export function readXattrs(path: string | Buffer, shift: IdShift): DiskXattrs {
  const names = listXattrs(path);
  const kept: Record<string, string> = {};
  for (const name of names.filter(isKept).sort()) {
    const value = kernel.getXattr(path, name);
    kept[name] = (name === CAPABILITY ? capabilityFromDisk(value, shift) : value).toString('base64');
  }
  return { names, kept: Object.keys(kept).length === 0 ? undefined : kept };
}

/** Sets those that layers keep, and removes any other of that kind. Others in `xattrs` are left out. */
export function writeXattrs(path: string | Buffer, xattrs: Readonly<Record<string, string>>, shift: IdShift): void {
  for (const name of listXattrs(path)) {
    if (isKept(name) && xattrs[name] === undefined) kernel.removeXattr(path, name);
  }
  for (const [name, base64] of Object.entries(xattrs)) {
    if (!isKept(name)) continue;
    const value = Buffer.from(base64, 'base64');
    kernel.setXattr(path, name, name === CAPABILITY ? capabilityToDisk(value, shift) : value);
  }
}

/** Of those that an archive names, the ones that a layer keeps. */
export function keptXattrs(xattrs: ReadonlyMap<string, Buffer>): Readonly<Record<string, string>> | undefined {
  const kept = [...xattrs].filter(([name]) => isKept(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  return kept.length === 0
    ? undefined
    : Object.fromEntries(kept.map(([name, value]) => [name, value.toString('base64')]));
}

function listXattrs(path: string | Buffer): readonly string[] {
  try {
    return kernel.listXattrs(path);
  } catch (thrown) {
    if (systemCode(thrown) === 'EOPNOTSUPP' || systemCode(thrown) === 'ENOTSUP') return [];
    throw thrown;
  }
}
