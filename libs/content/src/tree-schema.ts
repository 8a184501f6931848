import { isDigest, parseDigest } from '#oci';
import { z } from 'zod';
import { isCleanPath } from './path.ts';

const path = z.string().refine(isCleanPath, 'not a clean relative path');
const id = z.int().nonnegative();

const fields = {
  path,
  mode: z.int().min(0).max(0o7777),
  uid: id,
  gid: id,
  mtime: z.int(),
  xattrs: z.record(z.string(), z.base64()).optional(),
};
const fileFields = {
  ...fields,
  type: z.literal('file'),
  size: z.int().nonnegative(),
  digest: z
    .string()
    .refine(isDigest, 'not a digest')
    .transform((text) => parseDigest(text)),
  hardlink: path.optional(),
};
const dirFields = { ...fields, type: z.literal('dir') };
const symlinkFields = {
  ...fields,
  type: z.literal('symlink'),
  link: z
    .string()
    .min(1)
    .regex(/^[^\0]*$/),
};
const deviceFields = (type: 'char' | 'block') => ({
  ...fields,
  type: z.literal(type),
  device: z.strictObject({ major: id, minor: id }),
});
const fifoFields = { ...fields, type: z.literal('fifo') };

/** A {@link TreeEntry} from outside: every field known, and those that its type needs. */
export const treeEntrySchema = z.discriminatedUnion('type', [
  z.strictObject(fileFields),
  z.strictObject(dirFields),
  z.strictObject(symlinkFields),
  z.strictObject(deviceFields('char')),
  z.strictObject(deviceFields('block')),
  z.strictObject(fifoFields),
]);

/** A {@link DeltaEntry} from outside. */
export const deltaEntrySchema = z.discriminatedUnion('type', [
  z.strictObject(fileFields),
  z.strictObject({ ...dirFields, opaque: z.literal(true).optional() }),
  z.strictObject(symlinkFields),
  z.strictObject(deviceFields('char')),
  z.strictObject(deviceFields('block')),
  z.strictObject(fifoFields),
  z.strictObject({ path: path.min(1), type: z.literal('whiteout') }),
]);
