import type { FastifyInstance } from 'fastify';
import { refuse } from './answer-problem.ts';

/** As long as a store may take that has nowhere to put what is sent: then nothing is read, and so nothing comes. */
const SILENT_MS = 5 * 60_000;

/**
 * Gives up a request whose body has been begun and of which nothing has come for so long: a client that is gone without a word
 * would be waited for without end. How long a body takes as a whole is nobody's business.
 * @param silentMs at least; at most twice as long
 */
export function giveUpSilentBodies(server: FastifyInstance, silentMs = SILENT_MS): void {
  server.addHook('onRequest', async ({ raw }, reply) => {
    const { headers, socket } = raw;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
    let seen = socket.bytesRead;
    const looking = setInterval(() => {
      if (raw.complete) return void clearInterval(looking);
      const silent = socket.bytesRead === seen;
      seen = socket.bytesRead;
      if (!silent) return;
      clearInterval(looking);
      if (reply.raw.headersSent) return void socket.destroy();
      socket.once('finish', () => socket.destroy());
      refuse(socket, { statusCode: 408, message: 'nothing more of the body has come' });
    }, silentMs).unref();
    raw.once('close', () => clearInterval(looking));
  });
}
