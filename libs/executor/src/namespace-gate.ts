import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { kernel } from './libc.ts';

const State = z.object({ pid: z.int().positive() });

/** A runtime's state is some hundred bytes. */
const limitBytes = 64 * 1024;

/**
 * Holds the runtime between making the namespaces and starting the process, by a hook: it sends the runtime's state
 * through one named pipe and waits for a line in another.
 */
export class NamespaceGate {
  readonly hook: { readonly path: string; readonly args: readonly string[] };
  readonly #state: Socket;
  /** no stream: that would read its own words before the other side does */
  readonly #go: number;
  #refused = false;

  constructor(dir: string) {
    const [state, go] = [join(dir, 'state'), join(dir, 'go')];
    for (const path of [state, go]) kernel.mkfifo(path, 0o600);
    this.hook = {
      path: '/bin/sh',
      args: ['sh', '-c', 'cat >"$1" && echo >"$1" && read -r go <"$2" && test "$go" = go', 'gate', state, go],
    };
    this.#state = new Socket({ fd: openBoth(state), writable: false });
    this.#go = openBoth(go);
  }

  /** The process, as yet only a shell of one, whose namespaces are ready; undefined after {@link close}. */
  async reached(): Promise<number | undefined> {
    let text = '';
    for await (const chunk of this.#state as AsyncIterable<Buffer>) {
      text += chunk.toString();
      if (text.includes('\n') || text.length > limitBytes) return State.parse(JSON.parse(text)).pid;
    }
    return undefined;
  }

  open(): void {
    writeSync(this.#go, 'go\n');
  }

  /** A runtime that waits, or comes later, fails. */
  refuse(): void {
    if (!this.#refused) writeSync(this.#go, 'no\n');
    this.#refused = true;
  }

  /** Only after the runtime ended: a hook that opens a pipe without another side waits forever. */
  close(): void {
    this.#state.destroy();
    closeSync(this.#go);
  }
}

/** For both directions, so that opening does not wait for the other side and its end is not the stream's. */
const openBoth = (path: string): number => openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
