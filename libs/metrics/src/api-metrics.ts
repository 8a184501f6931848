import { Gauge, Histogram, Registry } from 'prom-client';
import { type FarmState, farmText } from './farm-text.ts';
import { collectProcessFigures } from './process-figures.ts';

export interface RequestFacts {
  readonly method: string;
  /** as the API declares it, such as /v1/builds/:id; undefined for paths that it does not have */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The figures of one API process and of its farm; docs/metrics.md lists them. Labels are of closed sets. */
export class ApiMetrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #open: Gauge;
  readonly #up: Gauge<'part'>;

  constructor() {
    const registers = [this.#registry];
    collectProcessFigures(this.#registry);
    this.#requests = new Histogram({
      name: 'kiln_http_request_duration_seconds',
      help: 'Time from a request to the end of its answer, without event streams.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    });
    this.#open = new Gauge({
      name: 'kiln_http_requests_open',
      help: 'Requests in work, event streams too.',
      registers,
    });
    this.#up = new Gauge({
      name: 'kiln_up',
      help: 'Whether a part answered when the figures were asked for.',
      labelNames: ['part'],
      registers,
    });
  }

  /** A request has come. */
  opened(): void {
    this.#open.inc();
  }

  /** @param facts undefined for an event stream, whose time says nothing */
  ended(facts: RequestFacts | undefined): void {
    this.#open.dec();
    if (facts === undefined) return;
    const { method, route = 'none', status, seconds } = facts;
    this.#requests.observe({ method: METHODS.has(method) ? method : 'other', route, status: String(status) }, seconds);
  }

  /**
   * All figures as Prometheus reads them.
   * @param state undefined when it cannot be told: then nothing is said of the farm, rather than something old
   */
  async text(up: Readonly<Record<'postgres' | 'redis', boolean>>, state: FarmState | undefined): Promise<string> {
    for (const [part, answers] of Object.entries(up)) this.#up.set({ part }, answers ? 1 : 0);
    const own = await this.#registry.metrics();
    return state === undefined ? own : `${own}\n${await farmText(state)}`;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
