import type { LookupAddress } from 'node:dns';

/** All addresses of a name. */
export type HostLookup = (hostname: string) => Promise<readonly LookupAddress[]>;
