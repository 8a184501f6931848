import { WebSocket } from 'undici';
import { SessionAsk, type SessionAnswer } from '#protocol';
import { type Clock, messageOf } from '#std';

/** Answers a message of the ssh agent protocol; what it throws is told to the build. */
export type AgentAnswers = (agent: string, message: Uint8Array) => Promise<Uint8Array>;

export interface SessionOptions {
  readonly open: () => WebSocket;
  readonly answer: AgentAnswers;
  readonly clock: Clock;
}

const RECONNECT_MS = 1_000;
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
      if (ask.type === 'files') return say({ type: 'failed', id, reason: 'this client sends no files by themselves' });
      const answer = await this.#options.answer(ask.agent, Buffer.from(ask.message, 'base64'));
      say({ type: 'answer', id, message: Buffer.from(answer).toString('base64') });
    } catch (thrown) {
      say({ type: 'failed', id, reason: messageOf(thrown).slice(0, 1_000) });
    } finally {
      this.#pending--;
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
