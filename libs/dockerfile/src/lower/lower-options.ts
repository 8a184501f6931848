import type { ExecLimits, ExecOp, NetworkMode } from '#graph';
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
  /** that the build runs on */
  readonly buildPlatform: Platform;
  readonly noCache: boolean;
  /** names of the stages that do not use what is cached */
  readonly noCacheFilter: readonly string[];
  /** of RUN without --network */
  readonly network: NetworkMode;
  /** of every RUN: for its /etc/hosts */
  readonly extraHosts?: ExecOp['extraHosts'];
  readonly limits?: ExecLimits | undefined;
  /** name of the LocalOp that COPY and ADD take files from; `context` by default */
  readonly contextName?: string | undefined;
  /** the context's files, for the checks that ask for them */
  readonly contextFiles?: ContextFiles | undefined;
}
