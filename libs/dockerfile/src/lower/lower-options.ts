import type { NetworkMode } from '#graph';
import type { Platform } from '#oci';
import type { ContextFiles } from '../lint/context-files.ts';

/** What a build adds to its Dockerfile. */
export interface LowerOptions {
  /** name of the stage to build; the last one when it is left out or empty */
  readonly target?: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** of the image; they win over those of LABEL */
  readonly labels: Readonly<Record<string, string>>;
  /** that the image is for */
  readonly platform: Platform;
  /** the image is for this platform whatever its stages are for; else it is for that of its stage */
  readonly platformAsked?: boolean | undefined;
  /** the build is for several platforms: the names of steps tell theirs */
  readonly namePlatforms?: boolean | undefined;
  /** that the build runs on */
  readonly buildPlatform: Platform;
  readonly noCache: boolean;
  /** names of the stages that do not use what is cached */
  readonly noCacheFilter: readonly string[];
  /** of RUN without --network */
  readonly network: NetworkMode;
  /** name of the LocalOp that COPY and ADD take files from; `context` by default */
  readonly contextName?: string | undefined;
  /** the context's files, for the checks that ask for them */
  readonly contextFiles?: ContextFiles | undefined;
}
