import type { Duplex } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { KilnError } from '#std';
import { httpStatus, problemOf, toKilnError } from './problem.ts';

/** Of every answer: what it says it is, and nothing else. */
export const NO_SNIFFING = ['x-content-type-options', 'nosniff'] as const;

/** An error as a problem document. */
export function answerProblem(reply: FastifyReply, error: KilnError, status: number): void {
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  if (status === 503) void reply.header('retry-after', '2');
  void reply
    .status(status)
    .header(...NO_SNIFFING)
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(error, status)));
}

/** A problem document by hand, where there is no response: to an upgrade, and to what is no HTTP. */
export function refuse(socket: Duplex, thrown: unknown): void {
  const error = toKilnError(thrown);
  const status = httpStatus(thrown, error);
  const body = JSON.stringify(problemOf(error, status));
  socket.end(
    [
      `HTTP/1.1 ${status} Refused`,
      'content-type: application/problem+json',
      NO_SNIFFING.join(': '),
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
