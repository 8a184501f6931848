import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { StatisticsGroup } from '#protocol';
import { duration, hitRatio, percent } from './format.ts';
import { useScheme } from './use-scheme.ts';

const HEIGHT_PX = 200;

/** Hit ratio and time saved, a point a day; the table below has the same in words. */
export default function DayChart({
  days,
  since,
}: {
  readonly days: readonly StatisticsGroup[];
  readonly since: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const scheme = useScheme();
  useEffect(() => {
    const { current } = box;
    if (current === null) return;
    const sorted = [...days].sort((a, b) => (a.name < b.name ? -1 : 1));
    const colour = (name: string): string => getComputedStyle(current).getPropertyValue(name);
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line') }, ticks: { stroke: colour('--line') } };
    const plot = new uPlot(
      {
        width: current.clientWidth,
        height: HEIGHT_PX,
        // All the days that were asked for, those without builds too; a day is UTC’s.
        scales: { ratio: { range: [0, 1] }, x: { range: [Date.parse(since) / 1_000, Date.now() / 1_000] } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC'),
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
      [sorted.map(({ name }) => Date.parse(name) / 1_000), sorted.map(hitRatio), sorted.map(({ savedMs }) => savedMs)],
      current,
    );
    const sized = new ResizeObserver(() => plot.setSize({ width: current.clientWidth, height: HEIGHT_PX }));
    sized.observe(current);
    return () => {
      sized.disconnect();
      plot.destroy();
    };
  }, [days, since, scheme]);
  return <div ref={box} className="chart" role="img" aria-label="Hit ratio and time saved by day" />;
}
