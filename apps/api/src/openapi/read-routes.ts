import { RequestMethod } from '@nestjs/common';
import { HTTP_CODE_METADATA, METHOD_METADATA, PATH_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { z } from 'zod';
import { type Need, neededFor } from '../http/auth.guard.ts';
import { type Description, DESCRIPTION } from './described.ts';

/** A route of the API, as its decorators have it. */
export interface Route {
  readonly method: string;
  /** with a slash in front, parameters as `:id` */
  readonly path: string;
  readonly status: number;
  /** what a token must be good for; undefined for a route that needs none */
  readonly needs: Need | undefined;
  readonly description: Description;
  readonly query?: z.ZodType | undefined;
  readonly params?: z.ZodType | undefined;
  /** of a body that the framework has read: JSON */
  readonly body?: z.ZodType | undefined;
  /** opened by an upgrade to a WebSocket */
  readonly websocket?: boolean;
}

export interface Reading {
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  readonly reflector: Reflector;
}

const Handler = z.custom<(...args: readonly never[]) => unknown>((value) => typeof value === 'function');
const Argument = z.looseObject({
  schema: z.custom<z.ZodType>((value) => value instanceof z.ZodType).optional(),
  /** the one parameter that it is, if not all */
  data: z.unknown(),
});
const Arguments = z.record(z.string(), Argument).default({});

/** All routes of all controllers that are described. */
export function readRoutes({ discovery, scanner, reflector }: Reading): readonly Route[] {
  return discovery.getControllers().flatMap(({ metatype, instance }) => {
    if (typeof metatype !== 'function') return [];
    const prototype: unknown = Object.getPrototypeOf(instance);
    if (typeof prototype !== 'object' || prototype === null) return [];
    const base = reflector.get<string>(PATH_METADATA, metatype);
    return scanner.getAllMethodNames(prototype).flatMap((name): readonly Route[] => {
      const handler = Handler.parse(Reflect.get(prototype, name));
      const description = reflector.get<Description | undefined>(DESCRIPTION, handler);
      const method = reflector.get<RequestMethod | undefined>(METHOD_METADATA, handler);
      if (description === undefined || method === undefined) return [];
      const schemas = Arguments.parse(Reflect.getMetadata(ROUTE_ARGS_METADATA, metatype, name));
      const schemaOf = (kind: RouteParamtypes): z.ZodType | undefined => {
        const found = Object.entries(schemas).find(([key, { schema }]) => key.startsWith(`${kind}:`) && schema);
        const { schema, data } = found?.[1] ?? {};
        return schema !== undefined && typeof data === 'string' ? z.object({ [data]: schema }) : schema;
      };
      return [
        {
          method: RequestMethod[method],
          path: joined(base, reflector.get<string>(PATH_METADATA, handler)),
          status:
            reflector.get<number | undefined>(HTTP_CODE_METADATA, handler) ??
            (method === RequestMethod.POST ? 201 : 200),
          needs: neededFor(reflector, RequestMethod[method], handler, metatype),
          description,
          query: schemaOf(RouteParamtypes.QUERY),
          params: schemaOf(RouteParamtypes.PARAM),
          body: schemaOf(RouteParamtypes.BODY),
        },
      ];
    });
  });
}

function joined(...parts: readonly string[]): string {
  const segments = parts.flatMap((part) => part.split('/')).filter((segment) => segment !== '');
  return `/${segments.join('/')}`;
}
