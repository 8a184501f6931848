import { collections } from './collections.ts';
import { define, type Functions } from './define.ts';
import { encodings } from './encodings.ts';
import { networks } from './networks.ts';
import { numbers } from './numbers.ts';
import { patterns } from './patterns.ts';
import { sets } from './sets.ts';
import { texts } from './texts.ts';
import { times } from './times.ts';
import { versions } from './versions.ts';

export interface Machine {
  readonly nowMs: () => number;
  readonly homeDir: string;
}

const absent = (name: string, why: string): Functions => ({
  [name]: define(0, Infinity, () => {
    throw new TypeError(`is not supported: ${why}`);
  }),
});

/** What docker buildx bake documents: https://github.com/docker/buildx/blob/master/docs/bake-stdlib.md */
export const stdlib = ({ nowMs, homeDir }: Machine): Functions => ({
  ...numbers,
  ...texts,
  ...patterns,
  ...collections,
  ...sets,
  ...encodings,
  ...times(nowMs),
  ...networks,
  ...versions,
  homedir: define(0, 0, () => homeDir),
  ...absent('bcrypt', 'its result is another one each time, so nothing built from it is ever cached'),
  ...absent('rsadecrypt', 'a key does not belong into a bake file; pass what is secret as a secret'),
});
