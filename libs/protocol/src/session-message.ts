import { DigestSchema } from '#oci';
import { z } from 'zod';

/** A message of the ssh agent protocol, without its length in front: 256 KiB at most. */
const agentMessage = z.base64().max(350_000);
const id = z.string().min(1).max(64);

/** Of the files that one question is about. */
export const MAX_ASKED_FILES = 1_000;

/** What the farm asks of the client of a build, by the WebSocket of `/v1/builds/:id/session`. */
export const SessionAsk = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('ask'),
    id,
    /** which of the agents that the client forwards */
    agent: z.string().min(1).max(255),
    message: agentMessage,
  }),
  /** contents of files of the build's contexts, to be sent to /v1/blobs */
  z.strictObject({ type: z.literal('files'), id, digests: z.array(DigestSchema).min(1).max(MAX_ASKED_FILES) }),
]);
export type SessionAsk = z.infer<typeof SessionAsk>;

/** What the client says to that. */
export const SessionAnswer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('answer'), id, message: agentMessage }),
  /** the files are with the farm */
  z.strictObject({ type: z.literal('sent'), id }),
  /** it is at it: said now and then by who needs long */
  z.strictObject({ type: z.literal('working'), id }),
  z.strictObject({ type: z.literal('failed'), id, reason: z.string().max(1_000) }),
]);
export type SessionAnswer = z.infer<typeof SessionAnswer>;
