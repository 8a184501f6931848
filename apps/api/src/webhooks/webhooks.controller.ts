import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import {
  CreatedWebhook,
  WebhookChange,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookDeliveryQuery,
  WebhookList,
  WebhookRequest,
  WebhookView,
} from '#protocol';
import { KilnError } from '#std';
import type { Principal, WebhookDeliveries, WebhookStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { DELIVERIES, WEBHOOKS } from '../tokens.ts';

/** Whom the caller's project tells of its builds. */
@Controller('v1/projects/:project/webhooks')
@Needs('admin')
export class WebhooksController {
  readonly #webhooks: WebhookStore;
  readonly #deliveries: WebhookDeliveries;

  constructor(@Inject(WEBHOOKS) webhooks: WebhookStore, @Inject(DELIVERIES) deliveries: WebhookDeliveries) {
    this.#webhooks = webhooks;
    this.#deliveries = deliveries;
  }

  @Described({ summary: 'the webhooks of the project; no secret is told', answer: WebhookList, errors: ['NOT_FOUND'] })
  @Get()
  async list(@Caller() caller: Principal, @Param('project') project: string): Promise<WebhookList> {
    checkOwn(caller, project);
    return { webhooks: [...(await this.#webhooks.list(caller))] };
  }

  @Described({ summary: 'a new webhook; its secret is shown once', answer: CreatedWebhook, errors: ['NOT_FOUND'] })
  @Post()
  async create(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Body({ schema: WebhookRequest }) request: WebhookRequest,
  ): Promise<CreatedWebhook> {
    checkOwn(caller, project);
    return await this.#webhooks.create(caller, request);
  }

  @Described({ summary: 'a webhook', answer: WebhookView })
  @Get(':id')
  async get(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Param('id') id: string,
  ): Promise<WebhookView> {
    checkOwn(caller, project);
    return await this.#webhooks.get(caller, id);
  }

  @Described({ summary: 'change what is said of a webhook', answer: WebhookView })
  @Patch(':id')
  async change(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Param('id') id: string,
    @Body({ schema: WebhookChange }) change: WebhookChange,
  ): Promise<WebhookView> {
    checkOwn(caller, project);
    return await this.#webhooks.change(caller, id, change);
  }

  @Described({ summary: 'remove a webhook, and what was not delivered yet', answer: {} })
  @Delete(':id')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('project') project: string, @Param('id') id: string): Promise<void> {
    checkOwn(caller, project);
    await this.#webhooks.remove(caller, id);
  }

  @Described({ summary: 'send a ping to a webhook', answer: WebhookDelivery, errors: ['CONFLICT'] })
  @Post(':id/ping')
  async ping(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Param('id') id: string,
  ): Promise<WebhookDelivery> {
    checkOwn(caller, project);
    return await this.#deliveries.ping(caller, id);
  }

  @Described({ summary: 'what a webhook was told, the newest first', answer: WebhookDeliveryList })
  @Get(':id/deliveries')
  async deliveries(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Param('id') id: string,
    @Query({ schema: WebhookDeliveryQuery }) query: WebhookDeliveryQuery,
  ): Promise<WebhookDeliveryList> {
    checkOwn(caller, project);
    return await this.#deliveries.list(caller, id, query);
  }

  @Described({ summary: 'send a delivery anew, under its own id', answer: WebhookDelivery, errors: ['CONFLICT'] })
  @Post(':id/deliveries/:delivery/redeliver')
  async redeliver(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Param('id') id: string,
    @Param('delivery') delivery: string,
  ): Promise<WebhookDelivery> {
    checkOwn(caller, project);
    return await this.#deliveries.redeliver(caller, id, delivery);
  }
}

/** That the path names the token's own project. @throws KilnError NOT_FOUND */
function checkOwn(caller: Principal, project: string): void {
  if (project !== caller.project)
    throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(project)} for this token`);
}
