import type { Json } from '#std';
import { z } from 'zod';

const Operation = z.object({
  op: z.object({
    kind: z.string(),
    args: z.array(z.string()).optional(),
    dest: z.string().optional(),
    path: z.string().optional(),
  }),
});
const LENGTH = 200;

/** What a person calls the step of a key, as far as its preimage tells: `RUN make`, `COPY … /app`. */
export function operationName(preimage: Json): string {
  const parsed = Operation.safeParse(preimage);
  if (!parsed.success) return 'unknown';
  const { kind, args = [], dest = '', path = '' } = parsed.data.op;
  const [, dash, script] = args;
  const command = args.length === 3 && dash === '-c' ? (script ?? '') : args.join(' ');
  const name =
    kind === 'exec'
      ? `RUN ${command}`
      : kind === 'copy'
        ? `COPY … ${dest}`
        : kind === 'mkdir'
          ? `WORKDIR ${path}`
          : kind;
  return name.replace(/\s+/g, ' ').slice(0, LENGTH);
}
