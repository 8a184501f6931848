import type { Descriptor } from '#oci';
import type { Bytes, Clock, Random } from '#std';
import type { Endpoint } from './endpoint.ts';
import type { Requests } from './requests.ts';

/** One blob on its way to a registry. */
export interface BlobPush {
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly endpoint: Endpoint;
  readonly descriptor: Descriptor;
  readonly open: () => Bytes;
  readonly mountFrom?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a token must permit for it. */
export const pushScopes = ({ repository }: Endpoint): readonly string[] => [`repository:${repository}:pull,push`];
