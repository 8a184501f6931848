import { hash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { NO_SNIFFING } from './answer-problem.ts';

/** Whether `If-None-Match` names this tag, compared weakly. https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match */
export function namesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  const opaque = (text: string): string => text.replace(/^W\//, '');
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((each) => opaque(each) === opaque(tag));
}

/** Answers that are read whole get a tag, and are not sent again to who has them. Streams pass. */
export function tagAnswers(server: FastifyInstance): void {
  server.addHook('onRequest', async (_request, reply) => {
    void reply.header(...NO_SNIFFING);
  });
  server.addHook('onSend', async (request, reply, payload) => {
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
    const tag = `W/"${hash('sha256', payload, 'base64url').slice(0, 27)}"`;
    void reply.header('etag', tag);
    // Of one caller, and to be asked for each time.
    if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'private, no-cache');
    if (!namesTag(request.headers['if-none-match'], tag)) return payload;
    void reply.status(304).removeHeader('content-length');
    return null;
  });
}
