import type { Warning } from '#graph';
import type { BuildEvent } from '#protocol';
import type { DockerfileSource } from './dockerfile-source.ts';
import { excerptOf } from './failure.ts';

/** Lines of a long instruction. */
const SHOWN = 4;

type WarningEvent = Extract<BuildEvent, { readonly type: 'warning' }>;

/** What was found in a Dockerfile, each with the instruction that it is about. */
export function warningEvents(
  warnings: readonly Warning[],
  { name, text }: DockerfileSource,
  atMs: number,
): readonly WarningEvent[] {
  return warnings.map(({ message, line, endLine, rule, url }) => {
    const last = Math.min(endLine ?? line, line + SHOWN - 1);
    const excerpt = excerptOf(name, text, { line, endLine: last, neighbours: 0 });
    return {
      type: 'warning',
      atMs,
      message,
      ...(line === 0 ? {} : { line }),
      ...(rule === undefined ? {} : { rule }),
      ...(url === undefined ? {} : { url }),
      ...(excerpt === undefined ? {} : { excerpt }),
    };
  });
}
