import type { BuilderView } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { cleanLine } from '../progress/log-text.ts';
import { table } from './builds.ts';

export interface BuilderLsFlags {
  readonly json?: boolean;
  readonly data?: string;
}

/** `kiln builder ls` */
export async function builderLs(flags: BuilderLsFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const builders = await client.builders();
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ builders }, null, 2)}\n`);
  else
    process.stdout.write(
      table([['BUILDER', 'STATE', 'RUNNING', 'SLOTS', 'PLATFORMS', 'EMULATES'], ...builders.map(row)]),
    );
}

const row = ({ id, state, running, slots, platforms, emulated }: BuilderView): readonly string[] => [
  cleanLine(id, false),
  state,
  String(running),
  String(slots),
  platforms.join(' '),
  emulated.length === 0 ? '–' : emulated.join(' '),
];
