import { posix } from 'node:path';

/** What a file is called whose URL has no name. */
const UNNAMED = '__unnamed__';
/** As file systems have it. */
const MAX_BYTES = 255;

/** The name that a downloaded file gets: the last part of the URL's path, as BuildKit has it. */
export function fileNameOf(url: string): string {
  const name = posix.basename(pathOf(url));
  const usable = name !== '' && name !== '.' && name !== '..' && !/[\0/]/.test(name);
  return usable && Buffer.byteLength(name) <= MAX_BYTES ? name : UNNAMED;
}

function pathOf(url: string): string {
  if (!URL.canParse(url)) return '';
  const { pathname } = new URL(url);
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
