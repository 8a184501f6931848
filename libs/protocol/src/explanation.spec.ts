import { digestOf } from '#oci';
import { expect, it } from 'vitest';
import { StepView } from './build-view.ts';
import { explanationOf } from './explanation.ts';

const step = (name: string): StepView =>
  StepView.parse({
    ...{ vertex: digestOf(name), name, stage: 's', line: 1, step: true, state: 'run', startedAt: null },
    ...{ durationMs: 10, hit: null, miss: '--no-cache', compared: null, empty: false },
    cause: { kind: 'noCache', flag: '--no-cache', stage: 's' },
  });

it('gives what to do once, however many steps it is about', () => {
  const build = { id: 'b', url: 'http://farm/b/b', scope: 'main', state: 'succeeded' } as const;
  const { causes, hints } = explanationOf(build, [step('RUN a'), step('RUN b')]);
  expect([causes.length, hints.length]).toEqual([2, 1]);
});
