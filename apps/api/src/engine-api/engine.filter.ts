import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { KilnError, Logger } from '#std';
import { failedRequest } from '../http/failed-request.ts';
import { LOGGER } from '../tokens.ts';

/** What docker's clients print behind "Error response from daemon:". */
export function engineMessage({ code, message, hint }: KilnError): string {
  if (code === 'INTERNAL') return 'the farm made a mistake; its log says more';
  return hint === undefined ? message : `${message} (${hint})`;
}

/** Errors as the Engine API has them: `{"message": …}`. */
@Catch()
export class EngineFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(@Inject(LOGGER) logger: Logger) {
    this.#logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const failed = failedRequest(thrown, host, this.#logger);
    if (failed === undefined) return;
    const { reply, error, status } = failed;
    // Docker's clients read it only where it is called by that name, with no charset behind.
    const body = Buffer.from(JSON.stringify({ message: engineMessage(error) }));
    void reply.status(status).header('content-type', 'application/json').send(body);
  }
}
