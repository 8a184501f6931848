import { type IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { SessionAnswer } from '#protocol';
import { Bell, type Clock, isKilnError, KilnError, type Logger, messageOf } from '#std';
import { type BuildLedger, type RedisLink, SessionHost, type StoredBuild, type TokenStore } from '#storage';
import { bearerOf, checkPermission } from '../http/auth.guard.ts';
import { refuse } from '../http/answer-problem.ts';
import { CLOCK, LEDGER, LOGGER, REDIS, SHUTDOWN, TOKENS } from '../tokens.ts';

const PATH = /^\/v1\/builds\/([^/?]{1,256})\/session(?:\?.*)?$/;
/** An agent's longest answer in base64, and what stands around it. */
const MAX_MESSAGE_BYTES = 360_000;
/** A client that connects anew has one that is not known to be dead yet. */
const MAX_PER_BUILD = 4;
/** Of one connection: a build that asks for more than its client can say is not asked further. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const PING_MS = 20_000;
/** Between two looks at whether the build has ended; and that often without any wake-up. */
const LOOK_MS = 1_000;
const LOOK_MAX_MS = 10_000;
const NORMAL = 1000;
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

/**
 * `GET /v1/builds/:id/session`, a WebSocket: through it the client's ssh agents answer what the build's steps ask. For whom
 * may start builds of the project; another project's build is not there.
 */
@Injectable()
export class BuildSessions implements OnApplicationBootstrap {
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  readonly #open = new Map<string, Set<WebSocket>>();
  readonly #host: HttpAdapterHost;
  readonly #tokens: TokenStore;
  readonly #ledger: BuildLedger;
  readonly #relay: SessionHost;
  readonly #clock: Clock;
  readonly #shutdown: AbortController;
  readonly #logger: Logger;

  constructor(
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
    @Inject(TOKENS) tokens: TokenStore,
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(REDIS) redis: RedisLink,
    @Inject(SHUTDOWN) shutdown: AbortController,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.#host = host;
    this.#tokens = tokens;
    this.#ledger = ledger;
    this.#relay = new SessionHost(redis, logger);
    this.#shutdown = shutdown;
    this.#clock = clock;
    this.#logger = logger;
  }

  onApplicationBootstrap(): void {
    const server: unknown = this.#host.httpAdapter.getHttpServer();
    if (!(server instanceof Server)) throw new KilnError('INTERNAL', 'the API has no HTTP server');
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.#upgrade(request, socket, head).catch((thrown: unknown) => refuse(socket, thrown));
    });
    this.#shutdown.signal.addEventListener('abort', () => {
      for (const socket of [...this.#open.values()].flatMap((sockets) => [...sockets])) {
        socket.close(GOING_AWAY);
        socket.terminate();
      }
    });
  }

  /** @throws KilnError UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, CONFLICT, LIMIT_EXCEEDED */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const id = PATH.exec(request.url ?? '')?.[1];
    if (id === undefined) throw new KilnError('NOT_FOUND', 'there is no WebSocket at this path');
    const caller = await this.#tokens.verify(bearerOf(request.headers.authorization));
    checkPermission(caller, 'build');
    const build = await this.#ledger.get(caller.projectId, id);
    await this.#ledger.checkReach(caller, build.id);
    if (hasEnded(build)) {
      throw new KilnError('CONFLICT', 'the build has ended: nothing will be asked of its client');
    }
    if ((this.#open.get(build.id)?.size ?? 0) >= MAX_PER_BUILD) {
      throw new KilnError('LIMIT_EXCEEDED', 'the build has enough clients');
    }
    if (this.#shutdown.signal.aborted) throw new KilnError('UNAVAILABLE', 'the farm is shutting down');
    this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#serve(caller.projectId, build.id, opened));
  }

  #serve(projectId: string, buildId: string, socket: WebSocket): void {
    const sockets = this.#open.get(buildId) ?? new Set();
    this.#open.set(buildId, sockets.add(socket));
    const seat = this.#relay.attach(buildId, (ask) => {
      if (socket.bufferedAmount <= MAX_BUFFERED_BYTES) socket.send(JSON.stringify(ask));
    });
    const closed = new AbortController();
    void this.#untilEnd(projectId, buildId, closed.signal).then((ended) => {
      if (ended) socket.close(NORMAL, 'the build has ended');
    });
    let alive = true;
    const pinging = setInterval(() => {
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
    }, PING_MS);
    socket.on('pong', () => (alive = true));
    socket.on('message', (data) => {
      const answer = SessionAnswer.safeParse(parseJson(textOf(data)));
      if (answer.success) seat.answer(answer.data);
      else socket.close(POLICY_VIOLATION, 'not an answer');
    });
    socket.on('error', (error) => this.#logger.warn('a session broke', { buildId, error: error.message }));
    socket.on('close', () => {
      clearInterval(pinging);
      closed.abort();
      seat[Symbol.dispose]();
      sockets.delete(socket);
      if (sockets.size === 0) this.#open.delete(buildId);
    });
  }

  /** True once the build has ended, false when `signal` is aborted before. */
  async #untilEnd(projectId: string, buildId: string, signal: AbortSignal): Promise<boolean> {
    const bell = new Bell(this.#clock);
    using _wakeup = this.#ledger.onChange(buildId, () => bell.ring());
    while (!signal.aborted) {
      try {
        if (hasEnded(await this.#ledger.get(projectId, buildId))) return !signal.aborted;
      } catch (thrown) {
        if (isKilnError(thrown, 'NOT_FOUND')) return true;
        this.#logger.warn('cannot tell whether a build has ended', { buildId, error: messageOf(thrown) });
      }
      await this.#clock.sleep(LOOK_MS, signal).catch(() => undefined);
      await bell.wait(LOOK_MAX_MS, signal);
    }
    return false;
  }
}

function hasEnded({ state }: StoredBuild): boolean {
  return state !== 'queued' && state !== 'running';
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.from(data as Buffer).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
