import { type RefObject, useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useScheme } from './use-scheme.ts';

/** What a name of the style sheet stands for now, such as `--line`. */
export type Colour = (name: string) => string;

export interface Plot {
  readonly options: Omit<uPlot.Options, 'width'>;
  readonly data: uPlot.AlignedData;
}

/** Draws in the box, as wide as it is and in the colours of the page. @param plot stays the same as long as what it draws does */
export function usePlot(plot: (colour: Colour) => Plot): RefObject<HTMLDivElement | null> {
  const box = useRef<HTMLDivElement>(null);
  const scheme = useScheme();
  useEffect(() => {
    const { current } = box;
    if (current === null) return;
    const { options, data } = plot((name) => getComputedStyle(current).getPropertyValue(name));
    const drawn = new uPlot({ ...options, width: current.clientWidth }, data, current);
    const sized = new ResizeObserver(() => drawn.setSize({ width: current.clientWidth, height: options.height }));
    sized.observe(current);
    return () => {
      sized.disconnect();
      drawn.destroy();
    };
  }, [plot, scheme]);
  return box;
}

/** How an axis looks. */
export const axisOf = (colour: Colour): uPlot.Axis => ({
  stroke: colour('--quiet'),
  grid: { stroke: colour('--line') },
  ticks: { stroke: colour('--line') },
});

/** A day is UTC’s, wherever the reader is. */
export const utcDate = (seconds: number): Date => uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC');

export const secondsOf = (day: string): number => Date.parse(day) / 1_000;
