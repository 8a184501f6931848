import { rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { isKilnError, KilnError, messageOf } from '#std';
import type { DifferJob, DifferReply } from './differ-protocol.ts';
import { diffUpper } from './diff-upper.ts';
import { writeLayer } from './write-layer.ts';

/** One of the differ's threads: one job at a time. */
const port = parentPort;
if (port === null) throw new KilnError('INTERNAL', 'this file is a thread of the differ');
const reply = (message: DifferReply): void => port.postMessage(message);

port.on('message', (job: DifferJob) => void work(job));

async function work({ upper, lower, shift, file, stop }: DifferJob): Promise<void> {
  const flag = new Int32Array(stop);
  const check = (): void => {
    if (Atomics.load(flag, 0) !== 0) throw new KilnError('CANCELLED', 'nobody wants the layer any more');
  };
  try {
    const delta = diffUpper({ upper, lower, shift, check });
    reply({ kind: 'delta', delta });
    reply({ kind: 'layer', layer: await writeLayer({ upper, delta, check }, file) });
  } catch (thrown) {
    rmSync(file, { force: true });
    const known = isKilnError(thrown) ? thrown : undefined;
    reply({
      kind: 'failed',
      code: known?.code ?? 'INTERNAL',
      message: messageOf(thrown),
      hint: known?.hint,
      stack: thrown instanceof Error ? thrown.stack : undefined,
    });
  }
}
