import 'reflect-metadata';
import multipart from '@fastify/multipart';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { CONTEXT_MANIFEST_TYPE } from '#protocol';
import type { Logger } from '#std';
import { AppModule } from './app.module.ts';
import { archiveTypes } from './builds/submission.ts';
import type { Environment } from './infrastructure.module.ts';
import { SHUTDOWN } from './tokens.ts';

const DRAIN_MS = 5_000;
const IDLE_CHECK_MS = 50;
const BODY_BYTES = 1024 * 1024;

/** The API, wired and not listening yet. */
export async function createApp(environment: Environment): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({ bodyLimit: BODY_BYTES, routerOptions: { maxParamLength: 256 } });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.for(environment), adapter, {
    logger: nestLogger(environment.logger),
    abortOnError: false,
  });
  await app.register(multipart);
  // Read by the route as they stream, by nobody before.
  for (const type of [...archiveTypes, CONTEXT_MANIFEST_TYPE]) {
    adapter.getInstance().addContentTypeParser(type, (_request, _payload, done) => done(null));
  }
  return app;
}

/** Ends event streams, lets other requests end for at most 5 s, then closes what the process holds. */
export async function closeApp(app: NestFastifyApplication): Promise<void> {
  app.get<AbortController>(SHUTDOWN).abort(new Error('the farm is shutting down'));
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

/** Nest tells of its every module; only what goes wrong is worth a line. */
function nestLogger(logger: Logger): LoggerService {
  const silent = (): void => {};
  const say =
    (level: 'warn' | 'error') =>
    (message: unknown): void =>
      logger[level](message instanceof Error ? message.message : String(message), { from: 'nest' });
  return { log: silent, debug: silent, verbose: silent, warn: say('warn'), error: say('error'), fatal: say('error') };
}
