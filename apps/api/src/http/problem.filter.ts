import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#std';
import { LOGGER } from '../tokens.ts';
import { answerProblem } from './answer-problem.ts';
import { httpStatus, toKilnError } from './problem.ts';

/** The one way from an error to an answer: a problem document. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(@Inject(LOGGER) logger: Logger) {
    this.#logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const error = toKilnError(thrown);
    const status = httpStatus(thrown, error);
    if (status >= 500) {
      this.#logger[status === 500 ? 'error' : 'warn']('a request failed', {
        method: request.method,
        path: request.routeOptions.url ?? '',
        error: error.cause instanceof Error ? error.cause : error,
      });
    }
    // Nobody is there any more, or too much has been said to take it back.
    if (reply.raw.headersSent || reply.raw.destroyed) {
      reply.raw.destroy();
      return;
    }
    answerProblem(reply, error, status);
  }
}
