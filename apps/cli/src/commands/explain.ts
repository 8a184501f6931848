import { readConfig } from '../config.ts';
import { explanationText } from '../explain/explanation-text.ts';
import { connect } from '../farm/connect.ts';

export interface ExplainFlags {
  readonly json?: boolean;
  readonly data?: string;
}

/** A file or a pipe has no width of its own. */
const UNBOUNDED = 10_000;

/** `kiln explain BUILD`: why each of its steps hit or missed. */
export async function explain(id: string, flags: ExplainFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const explanation = await client.explanation(id);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`);
  else process.stdout.write(explanationText(explanation, process.stdout.isTTY ? process.stdout.columns : UNBOUNDED));
}
