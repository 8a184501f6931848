import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';

export interface CancelFlags {
  readonly json?: boolean;
  readonly data?: string;
}

/** `kiln cancel BUILD` */
export async function cancel(id: string, flags: CancelFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  await client.cancel(id);
  const { state } = await client.build(id);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ id, state })}\n`);
  else
    process.stdout.write(
      state === 'queued' || state === 'running' ? `${id} is being cancelled\n` : `${id} is ${state}\n`,
    );
}
