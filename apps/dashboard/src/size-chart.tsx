import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { ImageView } from '#protocol';
import { bytes } from './format.ts';
import { useScheme } from './use-scheme.ts';

const HEIGHT_PX = 160;

/** How large the images of a repository were when they were made; the table has the same in words. */
export default function SizeChart({ images }: { readonly images: readonly ImageView[] }) {
  const box = useRef<HTMLDivElement>(null);
  const scheme = useScheme();
  useEffect(() => {
    const { current } = box;
    if (current === null) return;
    const sorted = images
      .map(({ createdAt, sizeBytes }) => ({ at: Date.parse(createdAt) / 1_000, sizeBytes }))
      .sort((a, b) => a.at - b.at);
    const colour = (name: string): string => getComputedStyle(current).getPropertyValue(name);
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line') }, ticks: { stroke: colour('--line') } };
    const most = Math.max(...sorted.map(({ sizeBytes }) => sizeBytes), 1);
    const plot = new uPlot(
      {
        width: current.clientWidth,
        height: HEIGHT_PX,
        scales: { y: { range: [0, most * 1.1] } },
        axes: [axis, { ...axis, size: 80, values: (_, values) => values.map((value) => bytes(value)) }],
        series: [
          {},
          {
            label: 'size',
            stroke: colour('--joined'),
            width: 2,
            points: { show: true, size: 6 },
            value: (_, value) => (value === null ? '–' : bytes(value)),
          },
        ],
      },
      [sorted.map(({ at }) => at), sorted.map(({ sizeBytes }) => sizeBytes)],
      current,
    );
    const sized = new ResizeObserver(() => plot.setSize({ width: current.clientWidth, height: HEIGHT_PX }));
    sized.observe(current);
    return () => {
      sized.disconnect();
      plot.destroy();
    };
  }, [images, scheme]);
  return <div ref={box} className="chart" role="img" aria-label="Size of the images by when they were made" />;
}
