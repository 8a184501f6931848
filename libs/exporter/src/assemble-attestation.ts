import { type Descriptor, type Digest, digestOf, type Manifest, mediaType } from '#oci';
import { canonicalJson } from '#std';
import type { AssembledImage } from './assemble-image.ts';

/** A manifest and its config, with the bytes of both; its layers are elsewhere. */
export type AssembledManifest = Pick<
  AssembledImage,
  'configBytes' | 'configDescriptor' | 'manifestBytes' | 'manifestDescriptor' | 'manifest'
>;

/** What is told of one image, beside it in its index: statements of in-toto, as the layers of a manifest. */
export interface AssembledAttestation extends AssembledManifest {
  readonly kind: 'attestation';
  /** the image's manifest */
  readonly of: Digest;
}

/** A statement's blob, and what it is about. */
export interface StatementBlob {
  readonly descriptor: Descriptor;
  readonly predicateType: string;
}

export interface AttestationParts {
  readonly image: AssembledManifest;
  readonly statements: readonly StatementBlob[];
  /** an artifact that refers to its image, as BuildKit writes it by now; or a manifest with the config of an image, as before */
  readonly artifact: boolean;
}

const ARTIFACT_TYPE = 'application/vnd.docker.attestation.manifest.v1+json';
const PREDICATE_TYPE = 'in-toto.io/predicate-type';

/**
 * https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md: pure, the same bytes for the same
 * statements.
 */
export function assembleAttestation({ image, statements, artifact }: AttestationParts): AssembledAttestation {
  const { mediaType: type, digest, size } = image.manifestDescriptor;
  const configBytes = Buffer.from(artifact ? '{}' : canonicalJson(configOf(statements)));
  const configType = artifact ? mediaType.ociEmpty : mediaType.ociConfig;
  const config = { mediaType: configType, digest: digestOf(configBytes), size: configBytes.byteLength };
  const layers = statements.map(({ descriptor, predicateType }) => ({
    ...{ digest: descriptor.digest, size: descriptor.size, mediaType: mediaType.inToto },
    annotations: { [PREDICATE_TYPE]: predicateType },
  }));
  const manifest = { schemaVersion: 2, mediaType: mediaType.ociManifest, config, layers } as const;
  const reference = artifact ? { artifactType: ARTIFACT_TYPE, subject: { mediaType: type, digest, size } } : {};
  const manifestBytes = Buffer.from(canonicalJson({ ...manifest, ...reference }));
  return {
    kind: 'attestation',
    of: digest,
    ...{ configBytes, configDescriptor: config, manifestBytes, manifest },
    manifestDescriptor: {
      mediaType: mediaType.ociManifest,
      digest: digestOf(manifestBytes),
      size: manifestBytes.byteLength,
    },
  };
}

/** A statement, of the manifest that lists it. */
export const statementIn = ({
  mediaType: type,
  digest,
  size,
  annotations = {},
}: Manifest['layers'][number]): StatementBlob => ({
  descriptor: { mediaType: type, digest, size },
  predicateType: annotations[PREDICATE_TYPE] ?? '',
});

const configOf = (statements: readonly StatementBlob[]) => ({
  ...{ architecture: 'unknown', os: 'unknown', config: {} },
  rootfs: { type: 'layers', diff_ids: statements.map(({ descriptor }) => descriptor.digest) },
});
