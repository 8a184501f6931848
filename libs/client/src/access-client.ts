import {
  AuditList,
  type AuditQuery,
  BadgeView,
  CreatedToken,
  CreatedWebhook,
  ExchangedToken,
  MemberList,
  type MemberRequest,
  MemberView,
  MeView,
  ProjectDetail,
  ProjectList,
  ProjectView,
  RegistryList,
  type RegistryRequestInput,
  RegistryView,
  ScopeList,
  type ScopeRequest,
  ScopeView,
  SignInCode,
  type TokenExchange,
  TokenList,
  type TokenRequestInput,
  TrustRule,
  TrustRuleList,
  type TrustRuleRequestInput,
  TrustRuleTried,
  type TrustRuleTryInput,
  type WebhookChangeInput,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookList,
  type WebhookRequestInput,
  WebhookView,
} from '#protocol';
import type { z } from 'zod';
import type { ApiCall, ApiConnection } from './api-connection.ts';

export interface PageOptions {
  readonly limit?: number | undefined;
  /** `next` of the page before */
  readonly cursor?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const path = (...parts: readonly string[]): string => `/v1/${parts.map(encodeURIComponent).join('/')}`;

const hooks = (project: string, ...parts: readonly string[]): string => path('projects', project, 'webhooks', ...parts);

/** Tokens, teams, trust rules, webhooks, registry credentials and the audit log of the caller's project. Throws as KilnClient does. */
export class AccessClient {
  readonly #connection: ApiConnection;

  constructor(connection: ApiConnection) {
    this.#connection = connection;
  }

  /** What the own token stands for. */
  me(signal?: AbortSignal): Promise<MeView> {
    return this.#connection.json(MeView, { path: path('me'), signal });
  }

  /** A link that signs a browser in as the own token, once. */
  createSignInCode(signal?: AbortSignal): Promise<SignInCode> {
    return this.#send(SignInCode, 'POST', path('session', 'codes'), {}, signal);
  }

  /** The one answer that has the token itself. */
  createToken(request: TokenRequestInput, signal?: AbortSignal): Promise<CreatedToken> {
    return this.#send(CreatedToken, 'POST', path('tokens'), request, signal);
  }

  /** One page, the newest first; with `all` also those that have ended, and those of id tokens. */
  tokens({ all = false, ...page }: PageOptions & { readonly all?: boolean } = {}): Promise<TokenList> {
    return this.#page(TokenList, path('tokens'), page, all ? { all: 'true' } : {});
  }

  revokeToken(id: string, signal?: AbortSignal): Promise<void> {
    return this.#delete(path('tokens', id), signal);
  }

  createProject(
    request: { readonly name: string; readonly scope?: string },
    signal?: AbortSignal,
  ): Promise<ProjectView> {
    return this.#send(ProjectView, 'POST', path('projects'), request, signal);
  }

  /** Shows the project's badge to everybody, or to nobody. */
  showBadge(project: string, shown: boolean, signal?: AbortSignal): Promise<BadgeView> {
    return this.#send(BadgeView, 'PUT', path('projects', project, 'badge'), { public: shown }, signal);
  }

  /** The token's own, with its badge and quotas. */
  project(project: string, signal?: AbortSignal): Promise<ProjectDetail> {
    return this.#connection.json(ProjectDetail, { path: path('projects', project), signal });
  }

  projects(page: PageOptions = {}): Promise<ProjectList> {
    return this.#page(ProjectList, path('projects'), page);
  }

  members(page: PageOptions = {}): Promise<MemberList> {
    return this.#page(MemberList, path('members'), page);
  }

  putMember(name: string, request: MemberRequest, signal?: AbortSignal): Promise<MemberView> {
    return this.#send(MemberView, 'PUT', path('members', name), request, signal);
  }

  removeMember(name: string, signal?: AbortSignal): Promise<void> {
    return this.#delete(path('members', name), signal);
  }

  createScope(request: ScopeRequest, signal?: AbortSignal): Promise<ScopeView> {
    return this.#send(ScopeView, 'POST', path('scopes'), request, signal);
  }

  scopes(page: PageOptions = {}): Promise<ScopeList> {
    return this.#page(ScopeList, path('scopes'), page);
  }

  async trustRules(signal?: AbortSignal): Promise<readonly TrustRule[]> {
    return (await this.#connection.json(TrustRuleList, { path: path('trust-rules'), signal })).rules;
  }

  createTrustRule(request: TrustRuleRequestInput, signal?: AbortSignal): Promise<TrustRule> {
    return this.#send(TrustRule, 'POST', path('trust-rules'), request, signal);
  }

  replaceTrustRule(id: string, request: TrustRuleRequestInput, signal?: AbortSignal): Promise<TrustRule> {
    return this.#send(TrustRule, 'PUT', path('trust-rules', id), request, signal);
  }

  removeTrustRule(id: string, signal?: AbortSignal): Promise<void> {
    return this.#delete(path('trust-rules', id), signal);
  }

  /** What a rule would give for an id token that says this. */
  tryTrustRule(request: TrustRuleTryInput, signal?: AbortSignal): Promise<TrustRuleTried> {
    return this.#send(TrustRuleTried, 'POST', path('trust-rules', 'try'), request, signal);
  }

  /** A short-lived token for an id token of a CI system; needs no token. */
  exchange({ requested_token_type: _, ...request }: TokenExchange, signal?: AbortSignal): Promise<ExchangedToken> {
    return this.#connection.json(ExchangedToken, {
      method: 'POST',
      path: path('oidc', 'token'),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(request).toString(),
      signal,
    });
  }

  /** One page, the newest first; of one kind of action, and by one member or token, where that is said. */
  audit({ action, by, ...page }: PageOptions & Partial<Pick<AuditQuery, 'action' | 'by'>> = {}): Promise<AuditList> {
    const wanted = { ...(action === undefined ? {} : { action }), ...(by === undefined ? {} : { by }) };
    return this.#page(AuditList, path('audit'), page, wanted);
  }

  async registries(signal?: AbortSignal): Promise<readonly RegistryView[]> {
    return (await this.#connection.json(RegistryList, { path: path('registries'), signal })).registries;
  }

  putRegistry(host: string, request: RegistryRequestInput, signal?: AbortSignal): Promise<RegistryView> {
    return this.#send(RegistryView, 'PUT', path('registries', host), request, signal);
  }

  removeRegistry(host: string, signal?: AbortSignal): Promise<void> {
    return this.#delete(path('registries', host), signal);
  }

  /** @param project the token's own, here and below */
  async webhooks(project: string, signal?: AbortSignal): Promise<readonly WebhookView[]> {
    return (await this.#connection.json(WebhookList, { path: hooks(project), signal })).webhooks;
  }

  /** The one answer that has the secret. */
  createWebhook(project: string, request: WebhookRequestInput, signal?: AbortSignal): Promise<CreatedWebhook> {
    return this.#send(CreatedWebhook, 'POST', hooks(project), request, signal);
  }

  changeWebhook(project: string, id: string, change: WebhookChangeInput, signal?: AbortSignal): Promise<WebhookView> {
    return this.#send(WebhookView, 'PATCH', hooks(project, id), change, signal);
  }

  removeWebhook(project: string, id: string, signal?: AbortSignal): Promise<void> {
    return this.#delete(hooks(project, id), signal);
  }

  pingWebhook(project: string, id: string, signal?: AbortSignal): Promise<WebhookDelivery> {
    return this.#send(WebhookDelivery, 'POST', hooks(project, id, 'ping'), {}, signal);
  }

  /** One page, the newest first. */
  webhookDeliveries(project: string, id: string, page: PageOptions = {}): Promise<WebhookDeliveryList> {
    return this.#page(WebhookDeliveryList, hooks(project, id, 'deliveries'), page);
  }

  redeliverWebhook(project: string, id: string, delivery: string, signal?: AbortSignal): Promise<WebhookDelivery> {
    return this.#send(WebhookDelivery, 'POST', hooks(project, id, 'deliveries', delivery, 'redeliver'), {}, signal);
  }

  #page<T>(
    schema: z.ZodType<T>,
    at: string,
    { limit, cursor, signal }: PageOptions,
    more: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const query = new URLSearchParams(more);
    if (limit !== undefined) query.set('limit', String(limit));
    if (cursor !== undefined) query.set('cursor', cursor);
    return this.#connection.json(schema, { path: query.size === 0 ? at : `${at}?${query.toString()}`, signal });
  }

  #send<T>(
    schema: z.ZodType<T>,
    method: NonNullable<ApiCall['method']>,
    at: string,
    request: object,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    return this.#connection.json(schema, { method, path: at, headers, body: JSON.stringify(request), signal });
  }

  async #delete(at: string, signal: AbortSignal | undefined): Promise<void> {
    const { body } = await this.#connection.call({ method: 'DELETE', path: at, signal });
    for await (const _ of body);
  }
}
