import { isUtf8 } from 'node:buffer';
import { KilnError } from '#std';

/** A byte b that is no part of UTF-8 stands as U+DC00 + b (as Python's surrogateescape has it). */
const ESCAPE = 0xdc00;
const SLASH = 0x2f;

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** Bytes of the well-formed UTF-8 sequence at `at` (RFC 3629, section 4), or 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  const second = bytes[at + 1] ?? 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return isContinuation(second) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const low = lead === 0xe0 ? 0xa0 : 0x80;
    const high = lead === 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && isContinuation(bytes[at + 2]) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const low = lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high && isContinuation(bytes[at + 2]) && isContinuation(bytes[at + 3]) ? 4 : 0;
  }
  return 0;
}

/** The text of a name as the kernel has it: UTF-8, other bytes as lone surrogates. {@link encodePath} undoes it for all bytes. */
export function decodePath(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) text += String.fromCharCode(ESCAPE + (bytes[at] ?? 0));
    else text += bytes.toString('utf8', at, at + length);
    at += Math.max(length, 1);
  }
  return text;
}

/**
 * The bytes that {@link decodePath} made the text of.
 * @throws KilnError INVALID_ARGUMENT for lone surrogates outside of U+DC80 to U+DCFF
 */
export function encodePath(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path, 'utf8');
  const parts: Buffer[] = [];
  for (const character of path) {
    if (character.isWellFormed()) {
      parts.push(Buffer.from(character, 'utf8'));
      continue;
    }
    const byte = character.charCodeAt(0) - ESCAPE;
    if (byte < 0x80 || byte > 0xff) {
      throw new KilnError('INVALID_ARGUMENT', `not the text of a path: ${JSON.stringify(path)}`);
    }
    parts.push(Buffer.of(byte));
  }
  return Buffer.concat(parts);
}

/** `/` below all other bytes: a directory's contents stand right behind it, before `name-` and `name.`. */
const rank = (byte: number): number => (byte === SLASH ? 0 : byte);

function compareBytes(a: Buffer, b: Buffer): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const difference = rank(a[at] ?? 0) - rank(b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The one order of paths: component by component, each by its bytes; parents before children. Below 0: a comes first. */
export function comparePaths(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    // From the surrogates on, UTF-16 does not sort as the bytes do.
    if (left >= 0xd800 || right >= 0xd800) return compareBytes(encodePath(a), encodePath(b));
    return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** The directory that holds a path; the root's is itself. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** The last component. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** `base/name`, where `base` may be the root. */
export function joinPath(base: string, name: string): string {
  if (base === '') return name;
  return name === '' ? base : `${base}/${name}`;
}

/** Whether `path` is `ancestor` or lies below it. */
export function isWithin(path: string, ancestor: string): boolean {
  return ancestor === '' || path === ancestor || path.startsWith(`${ancestor}/`);
}

// One name for one file: no empty, `.` or `..` component, no NUL. `` is the root.
const clean = /^(?!\.{0,2}(?:\/|$))[^/\0]+(?:\/(?!\.{0,2}(?:\/|$))[^/\0]+)*$/;

/** Whether a path is the one spelling that trees use: relative, clean, and what {@link decodePath} gives. */
export function isCleanPath(path: string): boolean {
  if (path === '') return true;
  if (!clean.test(path)) return false;
  if (path.isWellFormed()) return true;
  try {
    return decodePath(encodePath(path)) === path;
  } catch {
    return false;
  }
}

/**
 * The one spelling of a relative path: without `.`, `..`, empty components, leading and trailing slashes.
 * @throws KilnError INVALID_ARGUMENT when it leads out of the root, is absolute, or holds a NUL
 */
export function cleanPath(path: string): string {
  const refuse = (why: string): KilnError =>
    new KilnError('INVALID_ARGUMENT', `path ${JSON.stringify(path)} ${why}`, {
      hint: 'use a path relative to the root and within it',
    });
  if (path.includes('\0')) throw refuse('holds a NUL');
  if (path.startsWith('/')) throw refuse('is absolute');
  const kept: string[] = [];
  for (const component of path.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') kept.push(component);
    else if (kept.pop() === undefined) throw refuse('leads out of its root');
  }
  return decodePath(encodePath(kept.join('/')));
}
