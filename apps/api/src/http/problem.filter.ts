import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { Logger } from '#std';
import { LOGGER } from '../tokens.ts';
import { answerProblem } from './answer-problem.ts';
import { failedRequest } from './failed-request.ts';

/** The one way from an error to an answer: a problem document. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(@Inject(LOGGER) logger: Logger) {
    this.#logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const failed = failedRequest(thrown, host, this.#logger);
    if (failed !== undefined) answerProblem(failed.reply, failed.error, failed.status);
  }
}
