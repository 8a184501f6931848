import 'reflect-metadata';
import multipart from '@fastify/multipart';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyReply } from 'fastify';
import { CONTEXT_MANIFEST_TYPE, enginePath } from '#protocol';
import type { ApiMetrics } from '#metrics';
import { KilnError, type Logger } from '#std';
import { AppModule } from './app.module.ts';
import { archiveTypes } from './builds/submission.ts';
import { dashboardDir, type DashboardFiles, readDashboard } from './dashboard/dashboard-files.ts';
import { serveDashboard } from './dashboard/serve-dashboard.ts';
import type { Environment } from './infrastructure.module.ts';
import { answerProblem, refuse } from './http/answer-problem.ts';
import { tagAnswers } from './http/entity-tags.ts';
import { checkRequests } from './http/check-requests.ts';
import { giveUpSilentBodies } from './http/silent-bodies.ts';
import { measureRequests } from './metrics/measure-requests.ts';
import { tellVersion } from './http/tell-version.ts';
import { METRICS, SHUTDOWN } from './tokens.ts';

const DRAIN_MS = 5_000;
const IDLE_CHECK_MS = 50;
const BODY_BYTES = 1024 * 1024;

/** What Node says of a request that it gives up. */
const notHttp: Readonly<Record<string, { readonly statusCode: number; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: { statusCode: 431, message: 'the headers are too long' },
  ERR_HTTP_REQUEST_TIMEOUT: { statusCode: 408, message: 'the request did not come in time' },
};

/** The API, wired and not listening yet. */
export async function createApp(environment: Environment): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_BYTES,
    // Node's own answer to a request without one is bare.
    http: { requireHostHeader: false },
    routerOptions: { maxParamLength: 768 },
    rewriteUrl: ({ method = '', url = '/' }) => enginePath(method, url) ?? url,
    frameworkErrors: ({ code, message }: FastifyError, _request: unknown, reply: FastifyReply) => {
      // Nothing has so long a name.
      const lost = code === 'FST_ERR_MAX_PARAM_LENGTH';
      const error = new KilnError(lost ? 'NOT_FOUND' : 'INVALID_ARGUMENT', lost ? 'there is no such path' : message);
      answerProblem(reply, error, error.traits.http);
    },
    clientErrorHandler: ({ code }, socket) => {
      if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
      socket.once('finish', () => socket.destroy());
      refuse(socket, notHttp[code] ?? { statusCode: 400, message: 'this is no whole HTTP request' });
    },
  });
  tagAnswers(adapter.getInstance());
  checkRequests(adapter.getInstance());
  giveUpSilentBodies(adapter.getInstance());
  tellVersion(adapter.getInstance());
  serveDashboard(adapter.getInstance(), await dashboard(environment));
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.for(environment), adapter, {
    logger: nestLogger(environment.logger),
    abortOnError: false,
  });
  const server = app.getHttpServer();
  // An expectation that nobody knows may be ignored; Node's own answer to it is bare.
  server.on('checkExpectation', (...request: readonly unknown[]) => server.emit('request', ...request));
  measureRequests(adapter.getInstance(), app.get<ApiMetrics>(METRICS), environment.clock);
  await app.register(multipart);
  // Read by the route as they stream, by nobody before.
  for (const type of [...archiveTypes, CONTEXT_MANIFEST_TYPE]) {
    adapter.getInstance().addContentTypeParser(type, (_request, _payload, done) => done(null));
  }
  return app;
}

/** Ends event streams, lets other requests end for at most 5 s, then closes what the process holds. */
export async function closeApp(app: NestFastifyApplication): Promise<void> {
  app.get<AbortController>(SHUTDOWN).abort(new KilnError('UNAVAILABLE', 'the farm is shutting down'));
  const server = app.getHttpServer();
  const impatience = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  // A connection whose answer ends after the closing began would be kept for the client's next request.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(impatience);
    clearInterval(idle);
  }
}

/** Without it the API is the same. */
async function dashboard({ logger }: Environment): Promise<DashboardFiles> {
  const dir = dashboardDir();
  if (dir !== undefined) return await readDashboard(dir);
  logger.warn('the dashboard is not there: ./kiln --install compiles it');
  return new Map();
}

/** Nest tells of its every module; only what goes wrong is worth a line. */
function nestLogger(logger: Logger): LoggerService {
  const silent = (): void => {};
  const say =
    (level: 'warn' | 'error') =>
    (message: unknown): void =>
      logger[level](message instanceof Error ? message.message : String(message), { from: 'nest' });
  return { log: silent, debug: silent, verbose: silent, warn: say('warn'), error: say('error'), fatal: say('error') };
}
