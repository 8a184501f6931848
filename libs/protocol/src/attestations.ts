import { z } from 'zod';
import { ImageName } from './named-context.ts';

/** What scans where nobody says: BuildKit's own. */
export const DEFAULT_GENERATOR = 'docker/buildkit-syft-scanner:stable-1';

/** How an image was made: https://slsa.dev/spec/v1.1/provenance, or v0.2 of it. */
export const ProvenanceAttestation = z.strictObject({
  /** `max`: with the values of build arguments, the Dockerfile, its steps, and what secrets were asked for */
  mode: z.enum(['min', 'max']).default('max'),
  version: z.enum(['v1', 'v0.2']).default('v1'),
  /** who says so; the farm's own address by default */
  builderId: z.string().min(1).max(2048).optional(),
  /** the client's word that the same inputs give the same bytes */
  reproducible: z.boolean().default(false),
  /** beside images, and not among files */
  inlineOnly: z.boolean().default(false),
  /** of the file among files */
  filename: z
    .string()
    .max(255)
    .regex(/^[^/\p{C}]+$/u, 'a plain file name')
    .refine((name) => name !== '.' && name !== '..', { error: 'a plain file name' })
    .default('provenance.json'),
  /** the address of the farm; filled in on arrival */
  farm: z.string().max(2048).optional(),
});
export type ProvenanceAttestation = z.infer<typeof ProvenanceAttestation>;

/** What is in an image (https://spdx.dev), as an image tells it that scans. */
export const SbomAttestation = z.strictObject({
  /** https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md */
  generator: ImageName.default(DEFAULT_GENERATOR),
  /** for the generator, which finds them as BUILDKIT_SCAN_NAME */
  parameters: z
    .record(z.string().regex(/^[A-Za-z0-9_]{1,128}$/, 'letters, digits and _'), z.string().max(4096))
    .refine((all) => Object.keys(all).length <= 32, { error: 'at most 32 parameters' })
    .default({}),
});
export type SbomAttestation = z.infer<typeof SbomAttestation>;

/** What is told of an image beside it, in statements of in-toto. */
export const Attestations = z.strictObject({
  provenance: ProvenanceAttestation.optional(),
  sbom: SbomAttestation.optional(),
});
export type Attestations = z.infer<typeof Attestations>;
