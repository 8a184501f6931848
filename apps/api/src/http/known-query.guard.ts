import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { invalid } from './problem.ts';

const Arguments = z.record(z.string(), z.unknown()).default({});
const Query = z.record(z.string(), z.unknown());

/**
 * A route that takes no parameters refuses those that it is given, as the schemas of others do: `?project=` is never passed by
 * in silence where it means nothing. Probes, pages and Docker's routes, all beside `/v1`, are left alone.
 */
@Injectable()
export class KnownQueryGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { url, query } = context.switchToHttp().getRequest<FastifyRequest>();
    const [given] = Object.keys(Query.parse(query));
    if (given === undefined || !url.startsWith('/v1/')) return true;
    const read = Arguments.parse(
      Reflect.getMetadata(ROUTE_ARGS_METADATA, context.getClass(), context.getHandler().name),
    );
    if (Object.keys(read).some((key) => key.startsWith(`${RouteParamtypes.QUERY}:`))) return true;
    throw invalid([{ message: `${JSON.stringify(given.slice(0, 64))} is no parameter of this route`, keys: [given] }]);
  }
}
