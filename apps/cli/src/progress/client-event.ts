import type { BuildEvent, BuildView } from '#protocol';

/** What the client itself does, told among the farm's events. */
export type ClientEvent =
  | ({ readonly type: 'sending'; readonly atMs: number } & Sent)
  | ({ readonly type: 'sent'; readonly atMs: number; readonly durationMs: number } & Sent)
  | { readonly type: 'accepted'; readonly atMs: number; readonly build: BuildView; readonly farm: FarmName };

/** What of a build's contexts has been sent. */
export interface Sent {
  readonly context: ContextCount;
  /** on the wire */
  readonly sentBytes: number;
  /** files that the farm lacked; undefined for what travels as an archive */
  readonly sentFiles?: { readonly files: number; readonly sizeBytes: number };
}

export interface ContextCount {
  /** undefined for an archive that came on standard input */
  readonly files: number | undefined;
  /** of the files, or of the archive */
  readonly sizeBytes: number;
}

export interface FarmName {
  readonly url: string;
  readonly embedded: boolean;
}

export type ProgressEvent = BuildEvent | ClientEvent;

/** Shows a build as it happens. */
export interface Renderer {
  show(event: ProgressEvent): void;
  /** one line besides the build, such as a file that was written */
  note(line: string): void;
  /** leaves the terminal as it should be; shows nothing afterwards */
  close(): void;
}

/** Where a renderer writes. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): void;
  /** calls back when the size changes; gives the way to stop that */
  onResize(listener: () => void): () => void;
}
