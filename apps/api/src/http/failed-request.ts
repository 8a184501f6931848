import type { ArgumentsHost } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { KilnError, Logger } from '#std';
import { httpStatus, toKilnError } from './problem.ts';

export interface FailedRequest {
  readonly reply: FastifyReply;
  readonly error: KilnError;
  /** of HTTP */
  readonly status: number;
}

/**
 * What a request that failed is to be answered, whose fault is put into the log where it is the farm's.
 * @returns undefined where nothing can be answered any more; the connection is broken off then
 */
export function failedRequest(thrown: unknown, host: ArgumentsHost, logger: Logger): FailedRequest | undefined {
  const http = host.switchToHttp();
  const request = http.getRequest<FastifyRequest>();
  const reply = http.getResponse<FastifyReply>();
  const error = toKilnError(thrown);
  const status = httpStatus(thrown, error);
  if (status >= 500) {
    logger[status === 500 ? 'error' : 'warn']('a request failed', {
      method: request.method,
      path: request.routeOptions.url ?? '',
      error: error.cause instanceof Error ? error.cause : error,
    });
  }
  // Nobody is there any more, or too much has been said to take it back.
  if (reply.raw.headersSent || reply.raw.destroyed) {
    reply.raw.destroy();
    return undefined;
  }
  return { reply, error, status };
}
