import { decodePath, encodePath } from '#content';

/** `dir/path` as `node:fs` takes it: text where that is lossless (the usual, quicker case), bytes otherwise. */
export function onDisk(dir: string, path: string): string | Buffer {
  const full = path === '' ? dir : `${dir}/${path}`;
  return full.isWellFormed() ? full : encodePath(full);
}

/** What the kernel gave as bytes, as paths and link targets are kept. */
export const asText = (bytes: Buffer): string => decodePath(bytes);
