import type { Descriptor } from '#oci';
import type { Bytes } from '#std';
import type { AssembledImage } from './assemble-image.ts';

export interface OciLayoutOptions {
  readonly image: AssembledImage;
  /** full names with tag that the layout's index gives the image */
  readonly names: readonly string[];
  readonly openLayer: (descriptor: Descriptor) => Bytes;
}

export function writeOciLayout(_options: OciLayoutOptions): Bytes {
  throw new Error('not there yet');
}
