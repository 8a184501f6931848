import { useCallback } from 'react';
import type { ImageView } from '#protocol';
import { bytes } from './format.ts';
import { axisOf, type Colour, type Plot, usePlot } from './use-plot.ts';

const HEIGHT_PX = 160;

/** How large the images of a repository were when they were made; the table has the same in words. */
export default function SizeChart({ images }: { readonly images: readonly ImageView[] }) {
  const box = usePlot(useCallback((colour: Colour) => plotOf(images, colour), [images]));
  return <div ref={box} className="chart" role="img" aria-label="Size of the images by when they were made" />;
}

function plotOf(images: readonly ImageView[], colour: Colour): Plot {
  const sorted = images
    .map(({ createdAt, sizeBytes }) => ({ at: Date.parse(createdAt) / 1_000, sizeBytes }))
    .sort((a, b) => a.at - b.at);
  const axis = axisOf(colour);
  const most = Math.max(...sorted.map(({ sizeBytes }) => sizeBytes), 1);
  return {
    options: {
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
    data: [sorted.map(({ at }) => at), sorted.map(({ sizeBytes }) => sizeBytes)],
  };
}
