import type { ResolvedImage } from '#graph';
import type { Descriptor } from '#oci';
import type { BuildEvent } from '#protocol';
import type { Bytes } from '#std';
import type { Attesting } from './attestations.ts';
import type { PlatformResult } from './platform-result.ts';
import type { Images } from './images.ts';
import type { IntermediateImages } from './intermediate-images.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { PlacedBlobs } from './placed-blobs.ts';
import type { StepResults } from './step-results.ts';
import type { Tally } from './tally.ts';

/** A build that has been solved, on its way out. */
export interface Exporting {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  /** one for each platform, in the order in which an index lists them; never none */
  readonly results: readonly PlatformResult[];
  readonly images: Images;
  readonly report: (event: BuildEvent) => void;
  readonly tally: Tally;
  readonly steps: StepResults;
  readonly attesting: Pick<Attesting, 'of'>;
  /** of a build for one platform whose image others may ask for */
  readonly intermediates?: IntermediateImages | undefined;
  readonly placed: Pick<PlacedBlobs, 'repositories'>;
}

/** The bytes of a layer's blob, wherever they are. */
export type OpenBlob = (descriptor: Descriptor) => Bytes;

export function basesOf(results: readonly PlatformResult[]): readonly ResolvedImage[] {
  return results.flatMap(({ lowered }) => lowered.base ?? []);
}
