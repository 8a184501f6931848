import type { WriteStream } from 'node:tty';
import type { Terminal } from './progress/client-event.ts';

/** A terminal behind one of the process' streams; undefined when it is a file or a pipe. */
export function terminalOf(stream: WriteStream): Terminal | undefined {
  if (!stream.isTTY) return undefined;
  return {
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || 24;
    },
    write: (text) => void stream.write(text),
    onResize(listener) {
      stream.on('resize', listener);
      return () => void stream.off('resize', listener);
    },
  };
}
