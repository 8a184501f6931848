import type { SeriesBy, SeriesDay, StepOutcome } from '#protocol';
import { duration, hitRatio, percent } from './format.ts';

type Counts = Omit<SeriesDay, 'day'>;

/** What a line over time may be of. */
export interface Measure {
  readonly title: string;
  readonly of: (counts: Counts) => number | null;
  readonly word: (value: number | null) => string;
  readonly top?: number;
  /** of a step behind it; where there is none, all builds that were counted are */
  readonly outcome?: StepOutcome;
}

const steps = (value: number | null): string => (value === null ? '–' : value.toLocaleString());
const time = (ms: number | null): string => (ms === null ? '–' : duration(ms));

export const measures = {
  ratio: { title: 'Hit ratio', of: hitRatio, word: percent, top: 1 },
  saved: { title: 'Time saved', of: ({ savedMs }) => savedMs, word: time },
  spent: { title: 'Time spent on misses', of: ({ spentMs }) => spentMs, word: time, outcome: 'miss' },
  misses: { title: 'Misses', of: ({ misses }) => misses, word: steps, outcome: 'miss' },
  joined: { title: 'Joined steps', of: ({ joined }) => joined, word: steps, outcome: 'joined' },
} as const satisfies Readonly<Record<string, Measure>>;
export type MeasureName = keyof typeof measures;

/** A cause is of misses alone. */
export const measuresOf = (by: SeriesBy): readonly MeasureName[] =>
  by === 'cause' ? ['misses', 'spent'] : ['ratio', 'saved', 'spent', 'misses', 'joined'];

/** What a step that is in no count gives. */
export const nothing: Counts = {
  ...{ hits: 0, joined: 0, misses: 0, followed: 0 },
  ...{ savedMs: 0, savedBytes: 0, spentMs: 0 },
};

/** Everything that is counted, for who wants it exactly. */
export const exactly = ({ hits, joined, misses, savedMs, spentMs }: Counts): string =>
  `${hits} hit, ${joined} joined, ${misses} run; ${savedMs} ms saved, ${spentMs} ms spent`;
