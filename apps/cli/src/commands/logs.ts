import type { KilnClient } from '#client';
import { type BuildEvent, findStep, type StepView } from '#protocol';
import { KilnError } from '#std';
import { readConfig } from '../config.ts';
import { drained } from '../drained.ts';
import { connect } from '../farm/connect.ts';
import type { ProgressEvent } from '../progress/client-event.ts';
import { PlainRenderer } from '../progress/plain.ts';

export interface LogsFlags {
  readonly follow?: boolean;
  readonly step?: string;
  readonly data?: string;
}

/** `kiln logs BUILD`: as it is now, or with --follow to its end; with --step, one step alone, to its end. */
export async function logs(id: string, flags: LogsFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const { state } = await client.build(id);
  const ended = state !== 'queued' && state !== 'running';
  if (flags.step !== undefined) return await oneStep(client, id, findStep(await client.steps(id), flags.step, id));
  if (ended || flags.follow === true) return await allEvents(client, id);
  for await (const chunk of client.logsText(id)) {
    process.stdout.write(chunk);
    await drained(process.stdout);
  }
}

async function allEvents(client: KilnClient, id: string): Promise<void> {
  const renderer = new PlainRenderer({ write, nowMs: () => Date.now(), showContext: true });
  renderer.show({
    type: 'accepted',
    atMs: Date.now(),
    build: await client.build(id),
    farm: { url: '', embedded: false },
  });
  for await (const { event } of client.events(id)) {
    renderer.show(event);
    await drained(process.stdout);
  }
  renderer.close();
}

const write = (text: string): void => void process.stdout.write(text);

async function oneStep(client: KilnClient, id: string, step: StepView): Promise<void> {
  if (step.state === 'pending')
    throw new KilnError('NOT_FOUND', `step ${step.name} has not begun`, {
      hint: `kiln logs -f ${id} shows all as it comes`,
    });
  const renderer = new PlainRenderer({ write, nowMs: () => Date.now(), showContext: true });
  for await (const { event } of client.events(id)) {
    if (!concerns(event, step.vertex)) continue;
    renderer.show(event);
    await drained(process.stdout);
    if (event.type === 'vertexDone' || event.type === 'vertexFailed') break;
  }
  renderer.close();
}

function concerns(event: ProgressEvent & BuildEvent, vertex: string): boolean {
  return event.type === 'planned' || ('vertex' in event && event.vertex === vertex);
}
