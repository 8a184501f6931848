import type { Digest, ImageConfig, Platform, RunConfig } from '#oci';
import type { GitSource } from './git-url.ts';
import type { Definition, Edge } from './vertex.ts';

/** What a reference stood for when it was asked. */
export interface ResolvedImage {
  /** without tag, e.g. `docker.io/library/node` */
  readonly reference: string;
  /** of the manifest for the platform */
  readonly digest: Digest;
  readonly config: ImageConfig;
  /** nobody could be asked: the config is made up, so that a check can go on */
  readonly unresolved?: true | undefined;
}

/** What images are called. */
export interface ImageResolver {
  /** @throws KilnError IMAGE_NOT_FOUND, REGISTRY_* */
  resolve(reference: string, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage>;
}

/** A file of the web, as it is now. */
export interface FileQuery {
  /** may hold credentials */
  readonly url: string;
  /** what its bytes have to be */
  readonly checksum: Digest | undefined;
}

/** A git repository's ref, as it is now. */
export interface RefAnswer {
  /** in full */
  readonly commit: string;
  /** the full name of the ref, or the commit */
  readonly ref: string;
}

/** What has a time of its own; `context` is the main one. */
export type TimedSource =
  | { readonly kind: 'context' }
  | { readonly kind: 'file'; readonly query: FileQuery }
  | { readonly kind: 'git'; readonly source: GitSource };

/** The only I/O of a front end. */
export interface SourceResolver extends ImageResolver {
  /**
   * An image in the layout that the client sent as the named context `context`.
   * @param digest of the image's manifest or index
   * @throws KilnError IMAGE_NOT_FOUND
   */
  layout(context: string, digest: Digest, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage>;
  /**
   * The digest of a file's bytes.
   * @throws KilnError SOURCE_NOT_FOUND, STEP_FAILED, LIMIT_EXCEEDED, UPSTREAM_UNAVAILABLE
   */
  file(query: FileQuery, signal?: AbortSignal): Promise<Digest>;
  /** @throws KilnError SOURCE_NOT_FOUND, STEP_FAILED, UPSTREAM_UNAVAILABLE */
  repository(source: GitSource, signal?: AbortSignal): Promise<RefAnswer>;
  /** When a source was made, in seconds since 1970; undefined where nobody says. @throws as the others */
  time(source: TimedSource, signal?: AbortSignal): Promise<number | undefined>;
}

/** One line of an image's history; those without `emptyLayer` match the layers in number and order. */
export interface HistoryEntry {
  readonly createdBy: string;
  readonly emptyLayer: boolean;
  readonly comment?: string | undefined;
}

/** What a person should know of a file that builds nevertheless. */
export interface Warning {
  /** begins with the rule's name, if there is one */
  readonly message: string;
  /** first line, 0 for none */
  readonly line: number;
  readonly endLine?: number | undefined;
  /** the lint rule that is broken */
  readonly rule?: string | undefined;
  /** a page on the rule */
  readonly url?: string | undefined;
}

/** Each step holds a config. */
export const MAX_IMAGE_STEPS = 500;

/** The image around a tree. */
export interface ImageAround {
  readonly config: RunConfig;
  readonly author?: string | undefined;
  /** the base image that the tree's layers begin with; undefined for scratch */
  readonly base?: ResolvedImage | undefined;
  /** of this build, after the base's own */
  readonly history: readonly HistoryEntry[];
}

/** An instruction of the build file, with what its stage is after it: what `docker build` calls an intermediate image. */
export interface ImageStep {
  readonly line: number;
  /** on one line, as it was written */
  readonly text: string;
  /** index of the stage in the file */
  readonly stage: number;
  /** a trigger of the base: no line of this file */
  readonly onbuild: boolean;
  /** the stage's tree after it */
  readonly root: Edge;
  /** it changed the tree, and not the config alone */
  readonly made: boolean;
  readonly image: ImageAround;
}

/** What a bill of materials tells of besides the result: a stage, or the context. */
export interface ScannedTree {
  readonly name: string;
  /** with the tree as its root */
  readonly definition: Definition;
}

/** What a front end makes of a build file for one platform: the graph, and the image around its result. */
export interface Lowered extends ImageAround {
  readonly definition: Definition;
  readonly platform: Platform;
  /** when the image says that it was made, in seconds since 1970: SOURCE_DATE_EPOCH */
  readonly epochSeconds?: number | undefined;
  /** of the stages that the result needs, in the file's order; none where they are more than {@link MAX_IMAGE_STEPS} */
  readonly steps: readonly ImageStep[];
  readonly scanned: readonly ScannedTree[];
  /** for the person: lint, arguments that nothing consumed */
  readonly warnings: readonly Warning[];
}
