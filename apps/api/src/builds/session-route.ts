import { z } from 'zod';
import { SessionAnswer, SessionAsk } from '#protocol';
import type { Route } from '../openapi/read-routes.ts';

/** No controller has it: the answer to its upgrade is written by {@link BuildSessions}. */
export const sessionRoute: Route = {
  method: 'GET',
  path: '/v1/builds/:id/session',
  status: 101,
  needs: 'build',
  websocket: true,
  description: {
    summary: 'what a running build asks of its client',
    detail: 'A WebSocket of JSON texts: the farm sends SessionAsk, the client answers with SessionAnswer.',
    answer: { 'application/json': z.union([SessionAsk, SessionAnswer]) },
    errors: ['CONFLICT', 'LIMIT_EXCEEDED'],
  },
};
