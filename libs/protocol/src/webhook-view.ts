import { z } from 'zod';
import { Label, PageQuery, Trust } from './access.ts';

/** What happens to builds that others can be told of. */
export const BuildHookEvent = z.enum(['build.started', 'build.succeeded', 'build.failed', 'build.cancelled']);
export type BuildHookEvent = z.infer<typeof BuildHookEvent>;

/** `ping` comes when it is asked for. */
export const WebhookEvent = z.enum([...BuildHookEvent.options, 'ping']);
export type WebhookEvent = z.infer<typeof WebhookEvent>;

const plain = (text: string): boolean => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && url.username === '' && url.password === '';
};

/** Where deliveries are sent to: http or https, without user, password and fragment. */
export const WebhookUrl = z
  .string()
  .max(2_048)
  .regex(
    /^https?:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!-"$-~]*)?$/,
    'a URL of http or https, without user, password and fragment',
  )
  .refine(plain, 'a URL of http or https, without user and password');

const secretBytes = (text: string): number =>
  Math.floor((text.slice('whsec_'.length).replace(/=+$/, '').length * 3) / 4);

/** As Standard Webhooks write it: `whsec_` and the base64 of 24 to 64 bytes. */
export const WebhookSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/, 'whsec_ and the base64 of 24 to 64 bytes')
  .refine((text) => secretBytes(text) >= 24 && secretBytes(text) <= 64, 'the base64 of 24 to 64 bytes');

const events = z
  .array(BuildHookEvent)
  .min(1)
  .max(BuildHookEvent.options.length)
  .transform((given) => BuildHookEvent.options.filter((each) => given.includes(each)));

/** POST /v1/projects/:project/webhooks */
export const WebhookRequest = z.strictObject({
  name: Label.optional(),
  url: WebhookUrl,
  /** which it is told of; all where it is not said */
  events: events.default([...BuildHookEvent.options]),
  /** made by the farm where it is not said */
  secret: WebhookSecret.optional(),
});
export type WebhookRequest = z.infer<typeof WebhookRequest>;
export type WebhookRequestInput = z.input<typeof WebhookRequest>;

/** PATCH /v1/projects/:project/webhooks/:id: what is said is changed. */
export const WebhookChange = z.strictObject({
  name: Label.nullable().optional(),
  url: WebhookUrl.optional(),
  events: events.optional(),
  secret: WebhookSecret.optional(),
  enabled: z.boolean().optional(),
});
export type WebhookChange = z.infer<typeof WebhookChange>;
export type WebhookChangeInput = z.input<typeof WebhookChange>;

export const WebhookView = z.object({
  id: z.string(),
  name: z.string().nullable(),
  url: z.string(),
  events: z.array(BuildHookEvent),
  /** of the scope of the token that made it: who is trusted less does not decide over it */
  trust: Trust,
  enabled: z.boolean(),
  /** why the farm sends nothing any more; null where a person said so */
  disabledReason: z.string().nullable(),
  /** since when every try has failed; null where the last was a delivery */
  failingSince: z.iso.datetime().nullable(),
  /** until when attempts are signed with the secret before the last change, too; null where there is none */
  oldSecretUntil: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type WebhookView = z.infer<typeof WebhookView>;

/** The one answer that has the secret. */
export const CreatedWebhook = WebhookView.extend({ secret: z.string() });
export type CreatedWebhook = z.infer<typeof CreatedWebhook>;

/** GET /v1/projects/:project/webhooks: all of them. */
export const WebhookList = z.object({ webhooks: z.array(WebhookView) });
export type WebhookList = z.infer<typeof WebhookList>;

/** What came of one request to the receiver. */
export const WebhookAttempt = z.object({
  at: z.iso.datetime(),
  /** null: there was no answer */
  status: z.int().nullable(),
  durationMs: z.int(),
  /** the beginning of the answer: 1 KiB at most */
  response: z.string(),
  /** why it does not count as delivered */
  error: z.string().nullable(),
});
export type WebhookAttempt = z.infer<typeof WebhookAttempt>;

/** What a receiver was, or is to be, told; its id is the `webhook-id` of every attempt. */
export const WebhookDelivery = z.object({
  id: z.string(),
  event: WebhookEvent,
  /** null for a ping */
  buildId: z.string().nullable(),
  state: z.enum(['pending', 'delivered', 'failed']),
  createdAt: z.iso.datetime(),
  /** when it is tried next, while it is pending */
  nextAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
  /** the last 20, the oldest first */
  attempts: z.array(WebhookAttempt),
});
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;

/** GET /v1/projects/:project/webhooks/:id/deliveries: the newest first. */
export const WebhookDeliveryQuery = PageQuery.extend({
  cursor: z
    .string()
    .regex(/^[1-9]\d{0,14}$/)
    .optional(),
});
export type WebhookDeliveryQuery = z.infer<typeof WebhookDeliveryQuery>;

export const WebhookDeliveryList = z.object({ deliveries: z.array(WebhookDelivery), next: z.string().nullable() });
export type WebhookDeliveryList = z.infer<typeof WebhookDeliveryList>;
