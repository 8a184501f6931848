/**
 * How layers are written. It is part of every cache key that layers hang on: raise the version whenever the same tree
 * would give other bytes.
 */
export const LAYER_FORMAT = {
  version: 1,
  compression: 'gzip',
  level: 4,
} as const;

/** `.wh.name` stands for a file of a lower layer that is gone. */
export const WHITEOUT = '.wh.';

/** In a directory: nothing of the lower layers' shows through. */
export const OPAQUE_MARKER = '.wh..wh..opq';
