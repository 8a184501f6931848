/** Says with colour what the words say already. */
export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  busy(text: string): string;
  dim(text: string): string;
  strong(text: string): string;
}

const sgr =
  (on: number, off: number) =>
  (text: string): string =>
    text === '' ? '' : `\x1b[${on}m${text}\x1b[${off}m`;

export const colours: Paint = {
  good: sgr(32, 39),
  bad: sgr(31, 39),
  busy: sgr(36, 39),
  dim: sgr(2, 22),
  strong: sgr(1, 22),
};
