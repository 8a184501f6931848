import { lookOf } from './line-looks.ts';

const WIDTH_PX = 44;

/** A line as the chart draws it, with its number. */
export function LineSample({ index }: { readonly index: number }) {
  const { colour, dash } = lookOf(index);
  return (
    <span className="line-sample">
      {index + 1}
      <svg width={WIDTH_PX} height="8" aria-hidden="true">
        <line x1="0" y1="4" x2={WIDTH_PX} y2="4" stroke={`var(${colour})`} strokeDasharray={dash.join(' ')} />
      </svg>
    </span>
  );
}
