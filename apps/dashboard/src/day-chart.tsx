import { useCallback } from 'react';
import type { StatisticsGroup } from '#protocol';
import { duration, hitRatio, percent } from './format.ts';
import { axisOf, type Colour, type Plot, secondsOf, usePlot, utcDate } from './use-plot.ts';

const HEIGHT_PX = 200;

/** Hit ratio and time saved, a point a day; the table below has the same in words. */
export default function DayChart({
  days,
  since,
}: {
  readonly days: readonly StatisticsGroup[];
  readonly since: string;
}) {
  const box = usePlot(useCallback((colour: Colour) => plotOf(days, since, colour), [days, since]));
  return <div ref={box} className="chart" role="img" aria-label="Hit ratio and time saved by day" />;
}

function plotOf(days: readonly StatisticsGroup[], since: string, colour: Colour): Plot {
  const sorted = [...days].sort((a, b) => (a.name < b.name ? -1 : 1));
  const axis = axisOf(colour);
  return {
    options: {
      height: HEIGHT_PX,
      // All the days that were asked for, those without builds too.
      scales: { ratio: { range: [0, 1] }, x: { range: [secondsOf(since), Date.now() / 1_000] } },
      tzDate: utcDate,
      axes: [
        axis,
        { ...axis, scale: 'ratio', size: 60, values: (_, values) => values.map((value) => percent(value)) },
        {
          ...axis,
          scale: 'saved',
          side: 1,
          size: 84,
          grid: { show: false },
          values: (_, values) => values.map((ms) => duration(ms)),
        },
      ],
      series: [
        {},
        {
          label: 'hit ratio',
          scale: 'ratio',
          stroke: colour('--hit'),
          width: 2,
          value: (_, value) => percent(value),
        },
        {
          label: 'saved',
          scale: 'saved',
          stroke: colour('--joined'),
          width: 2,
          dash: [6, 4],
          value: (_, ms) => (ms === null ? '–' : duration(ms)),
        },
      ],
    },
    data: [sorted.map(({ name }) => secondsOf(name)), sorted.map(hitRatio), sorted.map(({ savedMs }) => savedMs)],
  };
}
