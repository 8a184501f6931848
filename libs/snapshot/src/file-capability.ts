import type { IdShift } from './snapshotter.ts';

/** The attribute with a file's capabilities: `struct vfs_cap_data` of linux/capability.h, little endian. */
export const CAPABILITY = 'security.capability';

const REVISION_MASK = 0xff000000;
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const SIZE_2 = 20;
const SIZE_3 = 24;

/**
 * In a user namespace only revision 3 counts, which names the namespace's root by its id on the node. Images have
 * revision 2, so the two are translated as owners are.
 */
export function capabilityToDisk(value: Buffer, shift: IdShift): Buffer {
  if (isRevision(value, REVISION_3, SIZE_3)) return withRoot(value, value.readUInt32LE(SIZE_2) + shift.uid);
  return shift.uid !== 0 && isRevision(value, REVISION_2, SIZE_2) ? withRoot(value, shift.uid) : value;
}

/** Undoes {@link capabilityToDisk}; what root inside of the namespace has set becomes revision 2. */
export function capabilityFromDisk(value: Buffer, shift: IdShift): Buffer {
  if (!isRevision(value, REVISION_3, SIZE_3)) return value;
  const root = value.readUInt32LE(SIZE_2) - shift.uid;
  if (root > 0) return withRoot(value, root);
  const plain = Buffer.from(value.subarray(0, SIZE_2));
  plain.writeUInt32LE((magicOf(value) & ~REVISION_MASK & 0xffffffff) | REVISION_2, 0);
  return plain;
}

function withRoot(value: Buffer, root: number): Buffer {
  const out = Buffer.alloc(SIZE_3);
  value.copy(out, 0, 0, SIZE_2);
  out.writeUInt32LE(((magicOf(value) & ~REVISION_MASK) | REVISION_3) >>> 0, 0);
  out.writeUInt32LE(root, SIZE_2);
  return out;
}

const magicOf = (value: Buffer): number => value.readUInt32LE(0);

const isRevision = (value: Buffer, revision: number, size: number): boolean =>
  value.length === size && (magicOf(value) & REVISION_MASK) === revision;
