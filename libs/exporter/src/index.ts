export {
  type AssembledAttestation,
  assembleAttestation,
  type StatementBlob,
  statementIn,
} from './assemble-attestation.ts';
export {
  type Annotations,
  type AssembledImage,
  assembleImage,
  type Dialect,
  type ImageParts,
  type StepHistory,
} from './assemble-image.ts';
export {
  type Assembled,
  type AssembledIndex,
  assembleIndex,
  imagesOf,
  type IndexParts,
  manifestsOf,
  topOf,
} from './assemble-index.ts';
export { type LayerConversion, convertLayer } from './convert-layer.ts';
export { writeDockerArchive } from './docker-archive.ts';
export { type BlobLayoutOptions, type OciLayoutOptions, writeBlobLayout, writeOciLayout } from './oci-layout.ts';
export { type ReadDocument, readImage } from './read-image.ts';
export { type BlobsOptions, pushBlobs } from './push-blobs.ts';
export { type PushEvent, pushImage, type PushOptions } from './push-image.ts';
