import { useCallback } from 'react';
import type uPlot from 'uplot';
import { lookOf } from './line-looks.ts';
import { axisOf, type Colour, type Plot, secondsOf, usePlot, utcDate } from './use-plot.ts';

const HEIGHT_PX = 220;
/** Beside the plot, for the numbers at the ends of lines. */
const ENDS_PX = 28;
const LETTER_PX = 12;

export interface Lines {
  /** as 2026-01-31, the oldest first */
  readonly days: readonly string[];
  /** of each line a value a day; null where there is none */
  readonly values: readonly (readonly (number | null)[])[];
  /** the top of the scale; without one, what the values need */
  readonly top?: number | undefined;
  readonly word: (value: number) => string;
}

/**
 * A line for each row of a table beside it, numbered as the rows are. @param lines stay the same object as long as they are
 * @param onDay is told which day is pointed at, by its place
 */
export default function LineChart(props: {
  readonly label: string;
  readonly lines: Lines;
  readonly onDay: (index: number | null) => void;
}) {
  const { label, lines, onDay } = props;
  const box = usePlot(useCallback((colour: Colour) => plotOf(lines, colour, onDay), [lines, onDay]));
  return <div ref={box} className="chart" role="img" aria-label={label} />;
}

function plotOf({ days, values, top, word }: Lines, colour: Colour, onDay: (index: number | null) => void): Plot {
  const axis = axisOf(colour);
  const most = top ?? Math.max(1, ...values.flat().map((value) => value ?? 0)) * 1.05;
  return {
    options: {
      height: HEIGHT_PX,
      padding: [12, ENDS_PX, 0, 0],
      scales: { y: { range: [0, most] } },
      tzDate: utcDate,
      legend: { show: false },
      cursor: { drag: { x: false } },
      axes: [axis, { ...axis, size: 80, values: (_, each) => each.map(word) }],
      series: [
        {},
        ...values.map((_, index): uPlot.Series => {
          const { colour: stroke, dash } = lookOf(index);
          return { stroke: colour(stroke), width: 2, dash: [...dash], spanGaps: true };
        }),
      ],
      hooks: {
        setCursor: [({ cursor }) => onDay(cursor.idx ?? null)],
        draw: [(plot) => drawEnds(plot, values, colour)],
      },
    },
    data: [days.map(secondsOf), ...values.map((line) => [...line])],
  };
}

/** The number of each line at its end; those that end together stand one above the other. */
function drawEnds(plot: uPlot, values: Lines['values'], colour: Colour): void {
  const { ctx, bbox } = plot;
  const ratio = window.devicePixelRatio;
  const height = LETTER_PX * ratio;
  const ends = values.flatMap((line, index) => {
    const at = line.findLastIndex((value) => value !== null);
    const value = line[at];
    if (value === undefined || value === null) return [];
    const x = plot.valToPos(plot.data[0][at] ?? 0, 'x', true);
    return [{ index, x, y: plot.valToPos(value, 'y', true) }];
  });
  ctx.save();
  ctx.font = `600 ${height}px system-ui, sans-serif`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  const free = new Map<number, number>();
  for (const { index, x, y } of ends.sort((a, b) => b.y - a.y)) {
    const place = Math.min(y, free.get(x) ?? bbox.top + bbox.height);
    free.set(x, place - height);
    ctx.fillStyle = colour(lookOf(index).colour);
    ctx.fillText(String(index + 1), x + 9 * ratio, place);
  }
  ctx.restore();
}
