import type { AttestationsInput } from '#protocol';
import { usageError } from '../usage.ts';
import type { Outputs } from './outputs.ts';

/** @throws KilnError INVALID_ARGUMENT where an output has no place for attestations */
export function checkAttested({ provenance, sbom }: AttestationsInput, { requests }: Outputs): void {
  if (provenance === undefined && sbom === undefined) return;
  for (const output of requests) {
    if ('ociMediaTypes' in output && output.ociMediaTypes === false)
      throw usageError('--output: attestations go with OCI media types alone', 'leave oci-mediatypes=false out');
    if (output.type === 'docker' && (sbom !== undefined || provenance?.inlineOnly !== true))
      throw usageError(
        'an archive for docker load has no attestations',
        'use --push or --output type=oci; --provenance=inline-only=true goes without one in such an archive',
      );
  }
}
