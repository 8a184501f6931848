/** A delivery that one process alone may try, until its lease ends. */
export interface LeasedDelivery {
  readonly id: string;
  readonly webhookId: string;
  readonly lease: string;
  readonly url: string;
  /** the webhook's own, and that before it as long as it holds @throws KilnError PERMISSION_DENIED when sealed under another farm's key */
  readonly secrets: () => readonly string[];
  readonly event: string;
  readonly createdAt: Date;
  readonly buildId: string | null;
  /** as it was when it happened */
  readonly data: Readonly<Record<string, unknown>>;
  /** that were made before, since it was last asked for */
  readonly tries: number;
}

/** What becomes of a delivery after a try; `gone`: its receiver wants nothing any more. */
export type DeliveryVerdict =
  | { readonly kind: 'delivered' | 'failed' | 'gone' }
  | { readonly kind: 'retry'; readonly afterMs: number };

/** How much to take at once. */
export interface TakeOptions {
  readonly limit: number;
  /** that are at work, those of other processes too */
  readonly perWebhook: number;
  /** who does not settle in this time loses them to the next that asks */
  readonly leaseMs: number;
}
