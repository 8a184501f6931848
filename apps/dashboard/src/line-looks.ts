/** How lines are told apart, by colour and by dash; the last is for all others together. */
export interface LineLook {
  /** a name of the style sheet */
  readonly colour: string;
  /** lengths of strokes and gaps; none: one stroke */
  readonly dash: readonly number[];
}

const looks: readonly LineLook[] = [
  { colour: '--line-a', dash: [] },
  { colour: '--line-b', dash: [8, 4] },
  { colour: '--line-c', dash: [2, 3] },
  { colour: '--line-d', dash: [12, 3, 2, 3] },
  { colour: '--line-e', dash: [5, 2] },
  { colour: '--line-f', dash: [12, 3, 2, 3, 2, 3] },
];
const others: LineLook = { colour: '--quiet', dash: [1, 2] };

/** As many as are told apart. */
export const MOST_LINES = looks.length;

export const lookOf = (index: number): LineLook => looks[index] ?? others;
