import { z } from 'zod';
import { type Digest, DIGEST_PATTERN, isDigest } from './digest.ts';

export const DigestSchema = z
  .custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a sha256 digest')
  .meta({ type: 'string', pattern: DIGEST_PATTERN.source });

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md; `size` in bytes */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

export const DescriptorSchema = z.object({ mediaType: z.string(), digest: DigestSchema, size: z.int().nonnegative() });

/** A layer: the blob as stored (compressed), and the digest of its tar. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

export const LayerSchema = z.object({ descriptor: DescriptorSchema, diffId: DigestSchema });
