export { type AssembledImage, assembleImage, type ImageParts, type StepHistory } from './assemble-image.ts';
export {
  type Assembled,
  type AssembledIndex,
  assembleIndex,
  imagesOf,
  topOf,
} from './assemble-index.ts';
export { type OciLayoutOptions, writeOciLayout } from './oci-layout.ts';
export { type PushEvent, pushImage, type PushOptions } from './push-image.ts';
