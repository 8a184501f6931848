import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Sums of other gauges, which are named as only counters are. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** What a process tells of itself: memory, processor, files, the event loop. */
export function collectProcessFigures(register: Registry): void {
  collectDefaultMetrics({ register });
  for (const name of MISNAMED) register.removeSingleMetric(name);
}
