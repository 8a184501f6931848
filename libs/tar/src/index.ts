export { rewriteTar } from './rewrite-tar.ts';
export { padding, type TarHeader, type TarType } from './tar-format.ts';
export { encodeHeader, endOfTar } from './tar-header.ts';
export { readTar, type TarEntry } from './tar-reader.ts';
