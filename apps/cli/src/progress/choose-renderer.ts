import type { Renderer, Terminal } from './client-event.ts';
import { PlainRenderer } from './plain.ts';
import type { ProgressMode } from './progress-modes.ts';
import { QuietRenderer } from './quiet.ts';
import { RawJsonRenderer } from './rawjson.ts';

export interface RendererOptions {
  readonly mode: ProgressMode;
  /** the stream that progress goes to: undefined when it is no terminal */
  readonly terminal: Terminal | undefined;
  /** the environment does not speak against a live view */
  readonly live: boolean;
  readonly write: (text: string) => void;
  readonly nowMs: () => number;
}

/** A live view in a terminal, plain lines elsewhere, unless a mode is asked for. `tty` without a terminal is plain. */
export async function chooseRenderer({ mode, terminal, live, write, nowMs }: RendererOptions): Promise<Renderer> {
  switch (mode) {
    case 'rawjson':
      return new RawJsonRenderer(write);
    case 'quiet':
      return new QuietRenderer(write);
    case 'auto':
    case 'tty':
      if (terminal === undefined || (mode === 'auto' && !live)) return new PlainRenderer({ write, nowMs });
      // Loaded where it is shown: measuring text takes tables that cost a command line 25 ms.
      return new (await import('./tty.ts')).TtyRenderer({ terminal, nowMs });
    case 'plain':
      return new PlainRenderer({ write, nowMs });
  }
}
