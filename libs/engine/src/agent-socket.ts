import { closeSync, constants, openSync } from 'node:fs';
import { once } from 'node:events';
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { isKilnError } from '#std';
import { frameOf, isAllowedRequest, messagesOf, REFUSAL } from './agent-protocol.ts';
import type { ClientAgent } from './session.ts';

/** Of one step at a time; git and ssh need one each. */
const MAX_CONNECTIONS = 32;

export interface AgentSocketOptions {
  readonly agent: ClientAgent;
  /** a directory of its own, which does not exist yet; steps may pass to it */
  readonly dir: string;
  /** on this node */
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly mode: number;
  readonly signal: AbortSignal;
  /** the client has left while the step needed it */
  readonly onLost: (reason: unknown) => void;
}

/** A socket on which the client's agent answers: it lists keys and signs, and does nothing else. */
export class AgentSocket implements AsyncDisposable {
  readonly path: string;
  readonly #dir: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(dir: string, server: Server) {
    this.path = join(dir, 'agent');
    this.#dir = dir;
    this.#server = server;
  }

  static async open(options: AgentSocketOptions): Promise<AgentSocket> {
    const { dir, owner, mode } = options;
    await mkdir(dir);
    await chmod(dir, 0o711);
    const server = createServer();
    server.maxConnections = MAX_CONNECTIONS;
    const socket = new AgentSocket(dir, server);
    try {
      await listenIn(dir, server);
      await chown(socket.path, owner.uid, owner.gid);
      await chmod(socket.path, mode);
    } catch (thrown) {
      await socket[Symbol.asyncDispose]();
      throw thrown;
    }
    server.on('connection', (connection) => {
      socket.#sockets.add(connection);
      connection.on('close', () => socket.#sockets.delete(connection));
      void serve(connection, options);
    });
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** By a descriptor of the directory: a socket's path may have 107 bytes, and a builder's directory may have more. */
async function listenIn(dir: string, server: Server): Promise<void> {
  const descriptor = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(`/proc/self/fd/${descriptor}/agent`, () => resolve());
    });
  } finally {
    closeSync(descriptor);
  }
}

/** One request at a time, as agents do. */
async function serve(connection: Socket, options: AgentSocketOptions): Promise<void> {
  connection.on('error', () => connection.destroy());
  try {
    for await (const message of messagesOf(connection)) {
      const answer = isAllowedRequest(message) ? await answerTo(message, connection, options) : REFUSAL;
      if (!connection.write(frameOf(answer))) await new Promise((resolve) => connection.once('drain', resolve));
    }
    connection.end();
  } catch {
    connection.destroy();
  }
}

/** Where the client has left, the step hears nothing any more: an error would let it go on before it is ended. */
async function answerTo(
  message: Uint8Array,
  connection: Socket,
  { agent, signal, onLost }: AgentSocketOptions,
): Promise<Uint8Array> {
  try {
    return await agent.ask(message, signal);
  } catch (thrown) {
    if (!signal.aborted && isKilnError(thrown, 'STEP_FAILED')) {
      onLost(thrown);
      if (!connection.destroyed) await once(connection, 'close');
    }
    throw thrown;
  }
}
