import type { BuildFailure, BuildView, StepView } from '#protocol';
import { explanationOf } from '#protocol';
import { build, hit, id, result } from '../progress/story.contract.ts';
import type { BuildStory, Warning } from './build-story.ts';

export const step = (n: number, name: string, more: Partial<StepView> = {}): StepView => ({
  vertex: id(n),
  name,
  stage: '0',
  line: n,
  step: true,
  state: 'run',
  startedAt: '2026-01-01T00:00:01.000Z',
  durationMs: 1500,
  hit: null,
  miss: null,
  cause: null,
  compared: null,
  empty: false,
  ...more,
});

export const found = (n: number, name: string, savedMs: number): StepView =>
  step(n, name, { state: 'hit', durationMs: 0, hit: hit(savedMs) });

const times = { startedAt: '2026-01-01T00:00:01.000Z', finishedAt: '2026-01-01T00:00:09.500Z' };

export const succeeded = (steps: readonly StepView[], warnings: readonly Warning[] = []): BuildStory =>
  storyOf(
    { ...build, ...times, state: 'succeeded', result: result({ names: ['r/a:b'], pushed: 1, savedMs: 69_000 }) },
    steps,
    warnings,
  );

export const failed = (failure: BuildFailure, steps: readonly StepView[] = []): BuildStory =>
  storyOf({ ...build, ...times, state: 'failed', failure }, steps);

function storyOf(view: BuildView, steps: readonly StepView[], warnings: readonly Warning[] = []): BuildStory {
  return { build: view, explanation: explanationOf(view, steps), warnings };
}

export const warning = (line: number | undefined, message: string, more: Partial<Warning> = {}): Warning => ({
  type: 'warning',
  atMs: 0,
  message,
  ...(line === undefined ? {} : { line }),
  ...more,
});
