import { WebSocket } from 'undici';
import type { Digest } from '#oci';
import { SessionAsk, type SessionAnswer } from '#protocol';
import { type Clock, KilnError, messageOf } from '#std';

/** Answers a message of the ssh agent protocol; what it throws is told to the build. */
export type AgentAnswers = (agent: string, message: Uint8Array) => Promise<Uint8Array>;

/** Sends files of the build's contexts; resolves when they are with the farm. What it throws is told to the build. */
export type FileAnswers = (digests: readonly Digest[], signal: AbortSignal) => Promise<void>;

/** What a client lends to its build. */
export interface Lent {
  readonly agents?: AgentAnswers | undefined;
  readonly files?: FileAnswers | undefined;
}

export interface SessionOptions extends Lent {
  readonly open: () => WebSocket;
  readonly clock: Clock;
}

const RECONNECT_MS = 1_000;
/** How often a client that is at it says so; the farm waits some minutes in vain. */
const WORKING_MS = 20_000;
/** How the farm closes when the build has ended. */
const NORMAL = 1000;
/** At a time; the farm asks no more of one build. */
const MAX_PENDING = 64;

/** A client's side of its build's session: connected until the build ends or it is disposed of, and again when the connection breaks. */
export class BuildSession implements AsyncDisposable {
  readonly #options: SessionOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #socket: WebSocket | undefined;
  #pending = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#socket?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if ((await this.#once()) === NORMAL) return;
      await this.#options.clock.sleep(RECONNECT_MS, signal).catch(() => undefined);
    }
  }

  /** Resolves when the connection is gone, with the code that it was closed with. */
  async #once(): Promise<number | undefined> {
    const socket = this.#options.open();
    this.#socket = socket;
    const gone = Promise.withResolvers<number | undefined>();
    socket.addEventListener('close', ({ code }) => gone.resolve(code));
    socket.addEventListener('error', () => gone.resolve(undefined));
    socket.addEventListener('open', () => {
      if (this.#closing.signal.aborted) socket.close();
    });
    socket.addEventListener('message', ({ data }) => void this.#asked(socket, data));
    // A closing handshake with a farm that is away would be waited for in vain.
    const given = (): void => gone.resolve(undefined);
    this.#closing.signal.addEventListener('abort', given);
    const code = await gone.promise;
    this.#closing.signal.removeEventListener('abort', given);
    return code;
  }

  async #asked(socket: WebSocket, data: unknown): Promise<void> {
    const ask = parseAsk(data);
    if (ask === undefined) return;
    const { id } = ask;
    const say = (answer: SessionAnswer): void => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(answer));
    };
    if (this.#pending >= MAX_PENDING) return say({ type: 'failed', id, reason: 'too many questions at once' });
    this.#pending++;
    try {
      if (ask.type === 'files') {
        await this.#sendFiles(ask.digests, () => say({ type: 'working', id }));
        return say({ type: 'sent', id });
      }
      const { agents } = this.#options;
      if (agents === undefined) throw new KilnError('NOT_FOUND', 'this client forwards no agent');
      const answer = await agents(ask.agent, Buffer.from(ask.message, 'base64'));
      say({ type: 'answer', id, message: Buffer.from(answer).toString('base64') });
    } catch (thrown) {
      say({ type: 'failed', id, reason: messageOf(thrown).slice(0, 1_000) });
    } finally {
      this.#pending--;
    }
  }

  async #sendFiles(digests: readonly Digest[], working: () => void): Promise<void> {
    const { files, clock } = this.#options;
    if (files === undefined) throw new KilnError('NOT_FOUND', 'this client has no files of the context');
    const done = new AbortController();
    const waiting = (async () => {
      const signal = AbortSignal.any([done.signal, this.#closing.signal]);
      for (;;) {
        await clock.sleep(WORKING_MS, signal);
        working();
      }
    })().catch(() => undefined);
    try {
      await files(digests, this.#closing.signal);
    } finally {
      done.abort();
      await waiting;
    }
  }
}

function parseAsk(data: unknown): SessionAsk | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    return SessionAsk.parse(JSON.parse(data));
  } catch {
    return undefined;
  }
}
