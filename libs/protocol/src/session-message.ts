import { z } from 'zod';

/** A message of the ssh agent protocol, without its length in front: 256 KiB at most. */
const agentMessage = z.base64().max(350_000);
const id = z.string().min(1).max(64);

/** What the farm asks of the client of a build, by the WebSocket of `/v1/builds/:id/session`. */
export const SessionAsk = z.strictObject({
  type: z.literal('ask'),
  id,
  /** which of the agents that the client forwards */
  agent: z.string().min(1).max(255),
  message: agentMessage,
});
export type SessionAsk = z.infer<typeof SessionAsk>;

/** What the client says to that. */
export const SessionAnswer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('answer'), id, message: agentMessage }),
  z.strictObject({ type: z.literal('failed'), id, reason: z.string().max(1_000) }),
]);
export type SessionAnswer = z.infer<typeof SessionAnswer>;
