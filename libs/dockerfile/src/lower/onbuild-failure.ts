import { isKilnError, KilnError } from '#std';
import type { StagePlan } from './stage-plan.ts';

/** A failure of a trigger names the trigger, and the image or stage whose trigger it is: neither is in this file's line. */
export function triggerFailure(thrown: unknown, { from, base }: StagePlan, trigger: string): unknown {
  if (!isKilnError(thrown)) return thrown;
  const { code, message, hint, field, cause } = thrown;
  const owner = base.kind === 'image' ? `the image ${base.name}` : `the stage ${from.base}`;
  return new KilnError(code, `ONBUILD trigger ${JSON.stringify(trigger)} of ${owner}: ${message}`, {
    hint: `${hint === undefined ? '' : `${hint}; `}the trigger comes with ${owner}: give this build what it asks for, or take another base`,
    field,
    line: from.line,
    cause: cause ?? thrown,
  });
}
