import type { AccessClient } from '#client';
import {
  BuildHookEvent,
  WebhookChange,
  type WebhookChangeInput,
  type WebhookDelivery,
  WebhookRequest,
  type WebhookView,
} from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { table } from './builds.ts';
import { fromStdin } from './login.ts';

export interface WebhookFlags {
  readonly json?: boolean;
  readonly data?: string;
}
export interface WebhookCreateFlags extends WebhookFlags {
  readonly event?: readonly string[];
  readonly name?: string;
  readonly secretStdin?: boolean;
}
export interface WebhookUpdateFlags extends WebhookCreateFlags {
  readonly url?: string;
  readonly enable?: boolean;
  readonly disable?: boolean;
}
export interface WebhookDeliveriesFlags extends WebhookFlags {
  readonly limit: string;
}

/** `kiln webhook create URL`: the secret alone on standard output, for scripts. */
export async function webhookCreate(url: string, flags: WebhookCreateFlags): Promise<void> {
  const secret = flags.secretStdin === true ? await fromStdin('the secret') : undefined;
  const request = webhookRequest(url, flags, secret);
  const made = await ofProject(flags, (access, project) => access.createWebhook(project, request));
  if (flags.json === true) return printJson(made);
  process.stderr.write(`${made.id}: ${made.events.join(', ')} to ${made.url}\n`);
  process.stderr.write('the secret is shown here and never again:\n');
  process.stdout.write(`${made.secret}\n`);
}

/** What the flags ask for; its secret is in no message. */
export function webhookRequest(
  url: string,
  { event, name }: Pick<WebhookCreateFlags, 'event' | 'name'>,
  secret?: string,
): WebhookRequest {
  const events = BuildHookEvent.array().safeParse(event ?? BuildHookEvent.options);
  if (!events.success) throw usageError(`--event is one of ${BuildHookEvent.options.join(', ')}`);
  const request = WebhookRequest.safeParse({
    url,
    events: events.data,
    ...(name === undefined ? {} : { name }),
    ...(secret === undefined ? {} : { secret }),
  });
  if (request.success) return request.data;
  const [issue] = request.error.issues;
  throw usageError(`the ${issue?.path.join('.') ?? 'webhook'} is to be ${issue?.message ?? 'another'}`);
}

/** `kiln webhook update ID`: what is said is changed. */
export async function webhookUpdate(id: string, flags: WebhookUpdateFlags): Promise<void> {
  const secret = flags.secretStdin === true ? await fromStdin('the secret') : undefined;
  const change = webhookChange(flags, secret);
  const webhook = await ofProject(flags, (access, project) => access.changeWebhook(project, id, change));
  if (flags.json === true) return printJson(webhook);
  process.stdout.write(table([heads, row(webhook)]));
}

/** @throws KilnError INVALID_ARGUMENT when nothing is said, or what is said makes no sense; its secret is in no message */
export function webhookChange(
  { url, event, name, enable, disable }: WebhookUpdateFlags,
  secret?: string,
): WebhookChangeInput {
  if (enable === true && disable === true) throw usageError('--enable and --disable are opposites');
  const enabled = enable === true ? true : disable === true ? false : undefined;
  const said = Object.entries({ url, events: event, name, enabled, secret }).filter(([, value]) => value !== undefined);
  if (said.length === 0)
    throw usageError('there is nothing to change', 'say --url, --event, --name, --enable, --disable or --secret-stdin');
  const change = WebhookChange.safeParse(Object.fromEntries(said));
  if (change.success) return change.data;
  const [issue] = change.error.issues;
  throw usageError(`the ${issue?.path.join('.') ?? 'webhook'} is to be ${issue?.message ?? 'another'}`);
}

/** `kiln webhook ls` */
export async function webhookLs(flags: WebhookFlags): Promise<void> {
  const webhooks = await ofProject(flags, (access, project) => access.webhooks(project));
  if (flags.json === true) return printJson({ webhooks });
  process.stdout.write(table([heads, ...webhooks.map(row)]));
}

const heads = ['ID', 'NAME', 'URL', 'EVENTS', 'STATE'];

const row = ({ id, name, url, events, enabled, disabledReason, failingSince }: WebhookView): readonly string[] => [
  id,
  cleanLine(name ?? '–', false),
  cleanLine(url, false),
  events.length === BuildHookEvent.options.length ? 'all' : events.join(','),
  enabled
    ? `enabled${failingSince === null ? '' : `, fails since ${shownTime(failingSince)}`}`
    : cleanLine(`disabled${disabledReason === null ? '' : `: ${disabledReason}`}`, false),
];

/** `kiln webhook rm ID` */
export async function webhookRm(id: string, flags: WebhookFlags): Promise<void> {
  await ofProject(flags, (access, project) => access.removeWebhook(project, id));
  if (flags.json === true) return printJson({ id, removed: true });
  process.stdout.write(`${id} is removed\n`);
}

/** `kiln webhook deliveries ID` */
export async function webhookDeliveries(id: string, flags: WebhookDeliveriesFlags): Promise<void> {
  if (!/^(?:[1-9]\d?|100)$/.test(flags.limit))
    throw usageError(`--limit is a number from 1 to 100, not ${JSON.stringify(flags.limit)}`);
  const page = { limit: Number(flags.limit) };
  const list = await ofProject(flags, (access, project) => access.webhookDeliveries(project, id, page));
  if (flags.json === true) return printJson(list);
  const head = ['DELIVERY', 'EVENT', 'BUILD', 'STATE', 'TRIES', 'LAST', 'WHEN'];
  process.stdout.write(table([head, ...list.deliveries.map(deliveryRow)]));
}

const shownTime = (time: string): string => time.replace('T', ' ').slice(0, 19);

function deliveryRow({ id, event, buildId, state, attempts, nextAt, createdAt }: WebhookDelivery): readonly string[] {
  const last = attempts.at(-1);
  const came = last === undefined ? '–' : (last.error ?? `status ${last.status}`);
  const when = nextAt === null ? shownTime(last?.at ?? createdAt) : `next ${shownTime(nextAt)}`;
  return [id, event, buildId ?? '–', state, String(attempts.length), cleanLine(came, false), when];
}

/** `kiln webhook redeliver ID DELIVERY` */
export async function webhookRedeliver(id: string, delivery: string, flags: WebhookFlags): Promise<void> {
  const again = await ofProject(flags, (access, project) => access.redeliverWebhook(project, id, delivery));
  printSent(again, id, flags);
}

/** `kiln webhook ping ID` */
export async function webhookPing(id: string, flags: WebhookFlags): Promise<void> {
  const ping = await ofProject(flags, (access, project) => access.pingWebhook(project, id));
  printSent(ping, id, flags);
}

function printSent(delivery: WebhookDelivery, id: string, { json }: WebhookFlags): void {
  if (json === true) return printJson(delivery);
  process.stdout.write(`${delivery.id} is on its way\n`);
  process.stderr.write(`kiln webhook deliveries ${id} shows what comes of it\n`);
}

const printJson = (value: object): void => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

/** Asks the farm of the project that the token belongs to. */
async function ofProject<T>(
  { data }: WebhookFlags,
  ask: (access: AccessClient, project: string) => Promise<T>,
): Promise<T> {
  await using client = await connect(readConfig(process.env, data));
  return await ask(client.access, (await client.access.me()).project);
}
