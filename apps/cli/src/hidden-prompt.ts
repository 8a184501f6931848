import type { ReadStream } from 'node:tty';
import { Exit } from './fail.ts';

const MAX_CHARS = 16_384;

/**
 * A line that is typed or pasted without being shown.
 * @throws Exit 130 on Ctrl-C and Ctrl-D; the terminal is as it was on every path
 */
export async function askHidden(
  prompt: string,
  input: Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>,
  write: (text: string) => void,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let line = '';
  const onData = (chunk: Buffer): void => {
    for (const letter of chunk.toString()) {
      if (letter === '\r' || letter === '\n') return resolve(line);
      if (letter === '\u0003' || letter === '\u0004') return reject(new Exit(130));
      if (letter === '\u007F' || letter === '\b') line = line.slice(0, -1);
      else if (letter === '\u0015') line = '';
      else if (letter >= ' ' && line.length < MAX_CHARS) line += letter;
    }
  };
  const onEnd = (): void => reject(new Exit(130));
  write(prompt);
  input.setRawMode(true);
  input.on('data', onData);
  input.on('end', onEnd);
  input.resume();
  try {
    return await promise;
  } finally {
    input.off('data', onData);
    input.off('end', onEnd);
    input.pause();
    input.setRawMode(false);
    write('\n');
  }
}
