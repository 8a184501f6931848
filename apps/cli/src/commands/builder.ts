import type { BuilderView } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { cleanLine } from '../progress/log-text.ts';
import { table } from './builds.ts';

export interface BuilderFlags {
  readonly json?: boolean;
  readonly data?: string;
}

/** `kiln builder ls` */
export async function builderLs(flags: BuilderFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const builders = await client.builders();
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ builders }, null, 2)}\n`);
  else process.stdout.write(table([heads, ...builders.map(row)]));
}

const heads = ['BUILDER', 'STATE', 'RUNNING', 'SLOTS', 'PLATFORMS', 'EMULATES'];

/** `kiln builder drain ID` and `undrain ID`: wants the operator's token, which an embedded farm's own is. */
export async function builderDrain(id: string, drained: boolean, flags: BuilderFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const builder = await client.drainBuilder(id, drained);
  if (flags.json === true) return void process.stdout.write(`${JSON.stringify(builder, null, 2)}\n`);
  process.stdout.write(table([heads, row(builder)]));
  if (builder.state === 'draining')
    process.stderr.write('what runs on it goes on; once kiln builder ls says drained, it may be stopped\n');
}

const row = ({ id, state, running, slots, platforms, emulated }: BuilderView): readonly string[] => [
  cleanLine(id, false),
  state,
  String(running),
  String(slots),
  platforms.join(' '),
  emulated.length === 0 ? '–' : emulated.join(' '),
];
