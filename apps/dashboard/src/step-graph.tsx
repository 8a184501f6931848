import { useQuery } from '@tanstack/react-query';
import type { BuildsClient } from '#client';
import { instructionOf, type PlannedVertex, partsOf, type StepView } from '#protocol';
import { useProject } from './use-project.ts';
import { duration } from './format.ts';
import { type GraphLayout, layOut, type Placed } from './graph-layout.ts';
import { Failure, Loading } from './parts.tsx';
import { keyOf } from './step-key.ts';

const WIDTH = 210;
const HEIGHT = 50;
const GAP_X = 46;
const GAP_Y = 14;
const PAD = 8;
const NAME_LENGTH = 26;

interface Props {
  readonly id: string;
  readonly steps: readonly StepView[];
  /** key of the step that is open */
  readonly chosen: string;
  readonly choose: (key: string) => void;
}

/** Which step stands on which, as the newest plan has it. */
export default function StepGraph({ id, steps, chosen, choose }: Props) {
  const { farm } = useProject();
  const plan = useQuery({
    queryKey: ['plan', id, steps.length],
    queryFn: ({ signal }) => planOf(farm, id, signal),
  });
  if (plan.isError) return <Failure error={plan.error} retry={() => void plan.refetch()} />;
  if (plan.data === undefined) return <Loading />;
  const states = new Map(steps.map((step) => [step.vertex, step]));
  const shown = plan.data.filter(({ vertex }) => states.get(vertex)?.empty !== true);
  const layout = layOut(shown.map(({ vertex, inputs }) => ({ id: vertex, inputs })));
  const width = layout.columns * (WIDTH + GAP_X) - GAP_X + 2 * PAD;
  const height = layout.rows * (HEIGHT + GAP_Y) - GAP_Y + 2 * PAD;
  return (
    <div className="scroll graph" tabIndex={0} role="region" aria-label="Graph of the steps">
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="group"
        aria-label="Steps and what they stand on"
      >
        <g className="edges" aria-hidden="true">
          {shown.flatMap(({ vertex, inputs }) =>
            inputs.map((input) => <Line key={`${input} ${vertex}`} from={input} to={vertex} layout={layout} />),
          )}
        </g>
        {shown.map((vertex) => (
          <Node
            key={vertex.vertex}
            vertex={vertex}
            step={states.get(vertex.vertex)}
            place={layout.nodes.get(vertex.vertex)}
            chosen={chosen}
            choose={choose}
          />
        ))}
      </svg>
    </div>
  );
}

/** A take-over plans again: the last plan counts. */
async function planOf(farm: BuildsClient, id: string, signal: AbortSignal): Promise<readonly PlannedVertex[]> {
  const build = await farm.build(id, signal);
  const ended = build.finishedAt !== null;
  let found: readonly PlannedVertex[] = [];
  for await (const { event } of farm.events(id, { signal })) {
    if (event.type === 'planned') found = event.vertices;
    // One that runs has no end yet; of one that was never taken over the first plan is the last.
    if (found.length > 0 && (!ended || build.attempt === 1)) break;
  }
  return found;
}

const leftOf = ({ column }: Placed): number => PAD + column * (WIDTH + GAP_X);
const topOf = ({ row }: Placed): number => PAD + row * (HEIGHT + GAP_Y);

function Line({ from, to, layout }: { readonly from: string; readonly to: string; readonly layout: GraphLayout }) {
  const [start, end] = [layout.nodes.get(from), layout.nodes.get(to)];
  if (start === undefined || end === undefined) return null;
  const [x, y] = [leftOf(start) + WIDTH, topOf(start) + HEIGHT / 2];
  const [toX, toY] = [leftOf(end), topOf(end) + HEIGHT / 2];
  const bend = Math.max(24, (toX - x) / 2);
  return <path d={`M ${x} ${y} C ${x + bend} ${y}, ${toX - bend} ${toY}, ${toX} ${toY}`} />;
}

const signs: Readonly<Record<string, string>> = {
  hit: '⚡',
  run: '▶',
  joined: '⇉',
  failed: '✗',
  running: '◐',
  done: '✓',
};

interface NodeProps {
  readonly vertex: PlannedVertex;
  readonly step: StepView | undefined;
  readonly place: Placed | undefined;
  readonly chosen: string;
  readonly choose: (key: string) => void;
}

function Node({ vertex, step, place, chosen, choose }: NodeProps) {
  if (place === undefined) return null;
  const [x, y] = [leftOf(place), topOf(place)];
  const name = instructionOf(vertex.name);
  const state = step?.state ?? 'pending';
  const key = step === undefined ? '' : keyOf(step);
  const toggle = (): void => choose(chosen === key ? '' : key);
  const took =
    step?.durationMs !== null && step?.durationMs !== undefined && step.durationMs >= 1
      ? ` ${duration(step.durationMs)}`
      : '';
  return (
    <>
      <g
        role="button"
        tabIndex={0}
        aria-label={`${vertex.name}, ${state}`}
        aria-pressed={chosen !== '' && chosen === key}
        className={`node ${state}${chosen !== '' && chosen === key ? ' chosen' : ''}`}
        onClick={toggle}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' && event.key !== ' ') return;
          event.preventDefault();
          toggle();
        }}
      >
        <title>{vertex.name}</title>
        <rect x={x} y={y} width={WIDTH} height={HEIGHT} rx="6" />
      </g>
      <g aria-hidden="true" className="words">
        <text x={x + 10} y={y + 20}>
          {name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 1)}…` : name}
        </text>
        <text className="quiet" x={x + 10} y={y + 38}>
          {signs[state] ?? '◌'} {state}
          {state === 'hit' ? '' : took} {partsOf(vertex.name).place}
        </text>
      </g>
    </>
  );
}
