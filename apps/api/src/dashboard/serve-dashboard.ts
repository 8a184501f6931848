import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { namesTag } from '../http/entity-tags.ts';
import type { DashboardFile, DashboardFiles, Encoding } from './dashboard-files.ts';

/** Pages that the script draws: one file for all. */
const PAGE = /^\/(?:sign-in|b\/[^/]+|cache|farm|images(?:\/sha256:[0-9a-f]{64})?|settings(?:\/[a-z-]+)?)?$/;
/** Nothing is loaded from elsewhere, no script or style stands in the page, and no page shows it in a frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Answers what the dashboard's files answer; everything else goes on to the API. */
export function serveDashboard(server: FastifyInstance, files: DashboardFiles): void {
  const index = files.get('/index.html');
  server.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return;
    const [path = ''] = request.raw.url?.split(/[?#]/, 1) ?? [];
    const file = PAGE.test(path) ? index : path === '/index.html' ? undefined : files.get(path);
    if (file !== undefined) return await answer(file, request, reply);
    // Who writes an address by hand is told by a page that there is none, and where the others are.
    if (index !== undefined && request.is404 && request.headers['sec-fetch-dest'] === 'document')
      return await answer(index, request, reply.status(404));
  });
}

async function answer(file: DashboardFile, { headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const encoding = chooseEncoding(headers['accept-encoding'], file);
  const body = file.bodies.get(encoding);
  if (body === undefined) return reply;
  void reply
    .header('cache-control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
    .header('etag', body.tag)
    .header('vary', 'accept-encoding')
    .header('content-security-policy', POLICY)
    .header('referrer-policy', 'same-origin')
    .header('cross-origin-opener-policy', 'same-origin')
    .header('cross-origin-resource-policy', 'same-origin');
  if (namesTag(headers['if-none-match'], body.tag)) return await reply.status(304).send();
  if (encoding !== 'identity') void reply.header('content-encoding', encoding);
  return await reply.type(file.type).send(body.bytes);
}

/** The smallest that the client takes. https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding */
function chooseEncoding(header: string | undefined, { bodies }: DashboardFile): Encoding {
  const taken = new Map(
    (header ?? '').split(',').map((each) => {
      const [name = '', ...parameters] = each.toLowerCase().split(';');
      const refused = parameters.some((parameter) => /^\s*q=0(?:\.0*)?\s*$/.test(parameter));
      return [name.trim(), !refused];
    }),
  );
  const takes = (name: Encoding): boolean => taken.get(name) ?? taken.get('*') ?? false;
  for (const each of ['br', 'gzip'] as const) if (bodies.has(each) && takes(each)) return each;
  return 'identity';
}
