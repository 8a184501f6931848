import type { FastifyInstance } from 'fastify';
import { kilnVersion, VERSION_HEADER } from '#std';

/** Every answer says the farm's version, so that a client of another one can say why it is not understood. */
export function tellVersion(instance: FastifyInstance): void {
  const version = kilnVersion();
  instance.addHook('onRequest', (_request, reply, done) => {
    void reply.header(VERSION_HEADER, version);
    done();
  });
}
