import type { FastifyReply } from 'fastify';
import type { BuildView } from '#protocol';
import type { StoredBuild } from '#storage';
import { type ApiConfig, buildUrl } from '../config.ts';

/** A build that was accepted, as its client is told of it, with its place in the API. */
export function acceptedView(build: StoredBuild, config: ApiConfig, reply: FastifyReply): BuildView {
  void reply.header('location', `/v1/builds/${build.id}`);
  return { ...build, url: buildUrl(config, build.id) };
}
