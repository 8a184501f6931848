/** A repository at a registry. */
export interface Repository {
  /** host or host:port as in a reference: `docker.io` */
  readonly registry: string;
  readonly repository: string;
}

/** Where to read from. */
export interface Source extends Repository {
  /** the image was resolved from a stand-in: ask those first (every blob is verified by its digest) */
  readonly standIn?: boolean | undefined;
}
