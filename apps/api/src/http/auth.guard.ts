import {
  applyDecorators,
  type CanActivate,
  createParamDecorator,
  type CustomDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { isMetricsToken } from '#metrics';
import { KilnError } from '#std';
import type { Permission } from '#protocol';
import type { BrowserSessions, Principal, TokenStore } from '#storage';
import type { ApiConfig } from '../config.ts';
import { BROWSER_SESSIONS, CONFIG, TOKENS } from '../tokens.ts';
import { checkOwnPage, sessionOf } from './session-cookie.ts';

const PUBLIC = Symbol('public');
const NEEDS = Symbol('needs');
const ACTS = Symbol('acts');
/** What a route may need that any token is good for. */
export const ANY = 'any';
/** A route for who runs the farm: it tells of all projects together. */
export const OPERATOR = 'operator';
export type Need = Permission | typeof ANY | typeof OPERATOR;
const principals = new WeakMap<FastifyRequest, Principal>();

/** A route for everyone: health and documentation, nothing of a project. */
export const Public = (): CustomDecorator<symbol> => SetMetadata(PUBLIC, true);

/** A route for who may this; without it, what only reads needs `read`, and all else `build`. */
export const Needs = (permission: Permission): CustomDecorator<symbol> => SetMetadata(NEEDS, permission);

/** A route for whoever has a token. */
export const AnyToken = (): CustomDecorator<symbol> => SetMetadata(NEEDS, ANY);

/** A route for who has the operator's token, KILN_OPERATOR_TOKEN, or that of who reads figures, KILN_METRICS_TOKEN. */
export const ForOperator = (): CustomDecorator<symbol> => SetMetadata(NEEDS, OPERATOR);

/** A route by which the operator changes the farm: the token of who reads figures is not good for it. */
export const ByOperator = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(NEEDS, OPERATOR), SetMetadata(ACTS, true));

/** What a token must be good for, for the handler and the class of a route; undefined for one that is for everyone. */
export function neededFor(
  reflector: Reflector,
  method: string,
  ...targets: Parameters<Reflector['getAllAndOverride']>[1]
): Need | undefined {
  if (isPublic(reflector, ...targets)) return undefined;
  const usual = method === 'GET' || method === 'HEAD' ? 'read' : 'build';
  return reflector.getAllAndOverride<Need | undefined>(NEEDS, targets) ?? usual;
}

function isPublic(reflector: Reflector, ...targets: Parameters<Reflector['getAllAndOverride']>[1]): boolean {
  return reflector.getAllAndOverride<boolean | undefined>(PUBLIC, targets) === true;
}

/** Who asks. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const principal = principals.get(context.switchToHttp().getRequest<FastifyRequest>());
  if (principal === undefined) throw new KilnError('INTERNAL', 'a route without its guard');
  return principal;
});

/** Every route but the public ones needs a bearer token that is good for it, or the session of a browser that stands for one. */
@Injectable()
export class AuthGuard implements CanActivate {
  readonly #tokens: TokenStore;
  readonly #sessions: BrowserSessions;
  readonly #config: ApiConfig;
  readonly #reflector: Reflector;

  constructor(
    @Inject(TOKENS) tokens: TokenStore,
    @Inject(BROWSER_SESSIONS) sessions: BrowserSessions,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(Reflector) reflector: Reflector,
  ) {
    this.#tokens = tokens;
    this.#sessions = sessions;
    this.#config = config;
    this.#reflector = reflector;
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const needed = neededFor(this.#reflector, request.method, context.getHandler(), context.getClass());
    if (needed === undefined) return true;
    const { authorization } = request.headers;
    if (needed === OPERATOR && this.#isOperator(context, authorization)) return true;
    const principal = await this.#principal(request);
    if (needed === OPERATOR) throw notOperator(this.#operatorKey(context), this.#config);
    if (needed !== ANY) checkPermission(principal, needed);
    principals.set(request, principal);
    return true;
  }

  #isOperator(context: ExecutionContext, authorization: string | undefined): boolean {
    const { KILN_OPERATOR_TOKEN: own } = this.#config;
    return (
      isMetricsToken(authorization, own) || isMetricsToken(authorization, this.#config[this.#operatorKey(context)])
    );
  }

  /** The setting that holds the least token that is good for a route. */
  #operatorKey(context: ExecutionContext): 'KILN_OPERATOR_TOKEN' | 'KILN_METRICS_TOKEN' {
    const acts = this.#reflector.getAllAndOverride<boolean | undefined>(ACTS, [
      context.getHandler(),
      context.getClass(),
    ]);
    return acts === true ? 'KILN_OPERATOR_TOKEN' : 'KILN_METRICS_TOKEN';
  }

  /** A token comes first: who sends one is no page. */
  async #principal(request: FastifyRequest): Promise<Principal> {
    const { authorization, cookie } = request.headers;
    const session = authorization === undefined ? sessionOf(this.#config, cookie) : undefined;
    if (session === undefined) return await this.#tokens.verify(bearerOf(authorization));
    checkOwnPage(this.#config, request);
    return await this.#sessions.verify(session);
  }
}

function notOperator(key: 'KILN_OPERATOR_TOKEN' | 'KILN_METRICS_TOKEN', config: ApiConfig): KilnError {
  return new KilnError('PERMISSION_DENIED', 'this is about all projects, and no project’s token is good for it', {
    hint:
      config[key] === undefined
        ? `set ${key} where the API runs, and send that`
        : `send the token that the API has in ${key}`,
  });
}

/** @throws KilnError PERMISSION_DENIED */
export function checkPermission({ permissions }: Principal, needed: Permission): void {
  if (permissions.includes(needed)) return;
  throw new KilnError('PERMISSION_DENIED', `this token may not do that: it lacks ${needed}`, {
    hint: 'kiln whoami shows what it may; use one that may do this',
  });
}

/** The token of a request. @throws KilnError UNAUTHENTICATED */
export function bearerOf(header: string | undefined): string {
  const token = /^Bearer +([^ ]+) *$/i.exec(header ?? '')?.[1];
  if (token !== undefined) return token;
  throw new KilnError('UNAUTHENTICATED', 'there is no bearer token', {
    hint: 'send the header Authorization: Bearer with a token of this farm; the CLI takes it from KILN_TOKEN',
  });
}
