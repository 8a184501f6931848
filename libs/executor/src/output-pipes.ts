import { closeSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';
import type { OnOutput } from './executor.ts';
import { kernel } from './libc.ts';

/**
 * Standard output and error as pipes. Node's own `pipe` is a socket, which a process cannot open again as /dev/stdout.
 */
export class OutputPipes {
  /** the ends for the process */
  readonly writeEnds: readonly [number, number];
  readonly #readers: readonly [Socket, Socket];
  #open = true;

  constructor(owner: { readonly uid: number; readonly gid: number }) {
    const [out, err] = [pipeOf(owner), pipeOf(owner)];
    this.writeEnds = [out.write, err.write];
    this.#readers = [reader(out.read), reader(err.read)];
  }

  /** Once the process has its ends: only then its end is the pipes' end. */
  closeWriteEnds(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const descriptor of this.writeEnds) closeSync(descriptor);
  }

  /** Hands all output over, until both ends are closed. Rejects with what `output` throws; the rest is read and dropped. */
  async drain(output: OnOutput): Promise<void> {
    const failures: unknown[] = [];
    const pump = async (socket: Socket, stream: 1 | 2): Promise<void> => {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        if (failures.length > 0) continue;
        try {
          await output(stream, chunk);
        } catch (thrown) {
          failures.push(thrown);
        }
      }
    };
    const [out, err] = this.#readers;
    await Promise.all([pump(out, 1), pump(err, 2)]);
    if (failures.length > 0) throw failures[0];
  }

  close(): void {
    this.closeWriteEnds();
    for (const socket of this.#readers) socket.destroy();
  }
}

/** The process may open it again under its own id. */
function pipeOf({ uid, gid }: { readonly uid: number; readonly gid: number }): {
  readonly read: number;
  readonly write: number;
} {
  const pipe = kernel.pipe();
  fchownSync(pipe.write, uid, gid);
  return pipe;
}

const reader = (fd: number): Socket => new Socket({ fd, readable: true, writable: false });
