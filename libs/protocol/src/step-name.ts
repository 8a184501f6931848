import { KilnError } from '#std';
import type { StepView } from './build-view.ts';

/**
 * A vertex' name in parts: `[build 2/5] RUN make` has the place `build 2/5`, the number 2, the stage `build`. Of several
 * platforms, `[linux/arm64 build 2/5]` is the step `linux/arm64:build:2`.
 */
export function partsOf(name: string): { readonly place: string; readonly text: string; readonly step?: string } {
  const text = name.replaceAll(/\s+/g, ' ').trim();
  const match = /^\[(?:(\S+(?: \S+)?) +)? *(\d+)\/(\d+)\] (.*)$/.exec(text);
  if (match === null) return { place: '', text };
  const [, stage, number = '', total = '', rest = ''] = match;
  const place = `${stage === undefined ? '' : `${stage} `}${number}/${total}`;
  return { place, text: rest, step: stage === undefined ? number : `${stage.replace(' ', ':')}:${number}` };
}

/** Longer names are cut: a here-document is no name. */
export const STATISTICS_NAME_LENGTH = 200;

/** A vertex' name as statistics have it, wherever it stands: `[build 2/5] RUN make` is `[build] RUN make`. */
export const statisticsNameOf = (name: string): string =>
  Array.from(name.replace(/^\[ *\d+\/\d+\] /, '').replace(/^(\[[^\]]*?) *\d+\/\d+\]/, '$1]'))
    .slice(0, STATISTICS_NAME_LENGTH)
    .join('');

/** `4` is the step shown as `[4/6]`, `build:4` the one shown as `[build 4/6]`. */
export function findStep(steps: readonly StepView[], wanted: string, id: string): StepView {
  const named = steps.map((step) => ({ step, key: partsOf(step.name).step }));
  const found = named.filter(({ key }) => key === wanted || (key ?? '').endsWith(`:${wanted}`));
  const exact = found.find(({ key }) => key === wanted) ?? (found.length === 1 ? found[0] : undefined);
  if (exact !== undefined) return exact.step;
  const keys = named.flatMap(({ key }) => key ?? []).join(', ');
  if (found.length > 1) {
    throw new KilnError('INVALID_ARGUMENT', `step ${wanted} could be several`, {
      field: 'step',
      hint: `there are: ${keys}`,
    });
  }
  throw new KilnError('INVALID_ARGUMENT', `build ${id} has no step ${wanted}`, {
    field: 'step',
    hint: keys === '' ? 'it was never planned' : `there are: ${keys}`,
  });
}
