import { BLOCK, checksum, flagOf, padding, type TarHeader, XATTR_PREFIX } from './tar-format.ts';

/**
 * The header blocks of one entry: ustar, with a PAX header in front where ustar cannot say it. Written by hand since no
 * tar library for Node writes PAX values or names that are not UTF-8, and capabilities are such values. The bytes are
 * part of the layer format: the same entry always gives the same ones.
 */
export function encodeHeader(header: TarHeader): Buffer {
  const name =
    header.type === 'dir' && !header.name.toString('latin1').endsWith('/') ? suffixed(header.name) : header.name;
  const records = paxRecords(header, name);
  const main = block({ ...header, name, flag: flagOf[header.type] });
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const pax = block({
    name: Buffer.from('PaxHeader'),
    flag: 'x',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
  });
  return Buffer.concat([pax, body, Buffer.alloc(padding(body.length)), main]);
}

/** Two blocks of zeros. */
export const endOfTar: Buffer = Buffer.alloc(2 * BLOCK);

const MAX_ID = 0o7777777;
const MAX_NUMBER = 0o77777777777;

/** Records in order of their keys. */
function paxRecords(header: TarHeader, name: Buffer): Buffer[] {
  const records = new Map<string, Buffer>();
  const number = (key: string, value: number, max: number): void => {
    if (value < 0 || value > max) records.set(key, Buffer.from(String(value)));
  };
  const text = (key: string, value: Buffer): void => {
    if (value.length > 100 || value.some((byte) => byte >= 0x80)) records.set(key, value);
  };
  number('gid', header.gid, MAX_ID);
  if (header.link !== undefined) text('linkpath', header.link);
  number('mtime', header.mtime, MAX_NUMBER);
  text('path', name);
  for (const [key, value] of header.xattrs ?? []) records.set(XATTR_PREFIX + key, value);
  number('size', header.size, MAX_NUMBER);
  number('uid', header.uid, MAX_ID);
  return [...records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => record(key, value));
}

/** `length key=value\n`, where the length counts itself. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function block(header: Omit<TarHeader, 'type'> & { readonly flag: string }): Buffer {
  const out = Buffer.alloc(BLOCK);
  header.name.copy(out, 0, 0, 100);
  out.write(octal(header.mode, 7), 100);
  out.write(octal(header.uid, 7), 108);
  out.write(octal(header.gid, 7), 116);
  out.write(octal(header.size, 11), 124);
  out.write(octal(header.mtime, 11), 136);
  out.write(header.flag, 156);
  header.link?.copy(out, 157, 0, 100);
  out.write('ustar\x0000', 257, 'latin1');
  out.write(octal(header.major ?? 0, 7), 329);
  out.write(octal(header.minor ?? 0, 7), 337);
  out.write(octal(checksum(out), 6), 148);
  // The checksum field ends in NUL, blank.
  out[155] = 0x20;
  return out;
}

/** What does not fit stands in the PAX header; 0 here. */
function octal(value: number, digits: number): string {
  const text = value < 0 ? '0' : value.toString(8);
  return (text.length > digits ? '0' : text).padStart(digits, '0');
}

const suffixed = (name: Buffer): Buffer => Buffer.concat([name, Buffer.from('/')]);
