import { useRef } from 'react';
import type { ImageLayers } from '#protocol';
import { bytes, percent, short } from './format.ts';
import { useQueryWord } from './query-state.ts';
import { type Box, treemap } from './treemap.ts';
import { useWidth } from './use-width.ts';

type Layer = ImageLayers['layers'][number];

/** How large a layer is to whoever runs the image, as far as that is known. */
const weight = ({ unpacked, sizeBytes }: Layer): number => unpacked?.sizeBytes ?? sizeBytes;

const FIRST_WIDTH_PX = 1000;
const HEIGHT_PX = 220;
/** Of the drawing's letters. */
const LETTER_PX = 8;
/** Of the whole, at least. */
const SLIVER = 0.012;

/** The layers of an image by their sizes; one that is chosen shows what is in it. */
export function Layers({ layers }: { readonly layers: readonly Layer[] }) {
  const [chosen, choose] = useQueryWord('layer');
  const drawn = useRef<HTMLDivElement>(null);
  const widthPx = useWidth(drawn, FIRST_WIDTH_PX);
  const total = layers.reduce((sum, layer) => sum + weight(layer), 0);
  // The smallest is still to be seen and hit.
  const boxes = treemap(
    layers.map((layer) => Math.max(weight(layer), total * SLIVER)),
    widthPx,
    HEIGHT_PX,
  );
  const at = layers.findIndex(({ diffId }) => short(diffId) === chosen);
  const shown = layers[at];
  const wasted = layers.reduce((sum, { unpacked }) => sum + (unpacked?.wastedBytes ?? 0), 0);
  if (layers.length === 0) return <p className="quiet">It has none: nothing is in it but what it says of itself.</p>;
  return (
    <>
      {wasted > 0 && (
        <p>
          {bytes(wasted)} ({percent(wasted / total)}) are pulled with it and seen by nobody: a later layer removes or
          replaces these files. Removing them in the RUN that makes them keeps them out.
        </p>
      )}
      <div ref={drawn} className="treemap">
        <svg width={widthPx} height={HEIGHT_PX} role="group" aria-label="Layers by size">
          {layers.map((layer, number) => {
            const box = boxes[number];
            if (box === undefined || box.width === 0) return null;
            const hidden = (layer.unpacked?.wastedBytes ?? 0) / Math.max(1, weight(layer));
            const key = short(layer.diffId);
            const words = `Layer ${number + 1}, ${bytes(weight(layer))}: ${layer.createdBy}`;
            const toggle = (): void => choose(chosen === key ? '' : key);
            return (
              <g
                key={`${key} ${number}`}
                role="button"
                tabIndex={0}
                aria-label={words}
                aria-pressed={chosen === key}
                className={chosen === key ? 'chosen' : undefined}
                onClick={toggle}
                onKeyDown={(event) => {
                  if (event.key !== 'Enter' && event.key !== ' ') return;
                  event.preventDefault();
                  toggle();
                }}
              >
                <title>{words}</title>
                <rect className="layer" {...inset(box)} />
                {hidden > 0 && (
                  <rect className="wasted" {...inset({ ...box, width: box.width * Math.min(1, hidden) })} />
                )}
              </g>
            );
          })}
          <g aria-hidden="true">
            {layers.map((layer, number) => (
              <Words key={`${layer.diffId} ${number}`} layer={layer} box={boxes[number]} />
            ))}
          </g>
        </svg>
      </div>
      {shown !== undefined && <LayerFiles layer={shown} number={at + 1} />}
      <LayerTable layers={layers} choose={choose} />
    </>
  );
}

/** What there is room for. */
function Words({ layer, box }: { readonly layer: Layer; readonly box: Box | undefined }) {
  if (box === undefined || box.width <= 90 || box.height <= 22) return null;
  return (
    <>
      <text x={box.x + 8} y={box.y + 18}>
        {fitted(layer.createdBy, box.width)}
      </text>
      {box.height > 42 && (
        <text className="quiet" x={box.x + 8} y={box.y + 36}>
          {bytes(weight(layer))}
        </text>
      )}
    </>
  );
}

const GAP = 1;
function inset({ x, y, width, height }: { x: number; y: number; width: number; height: number }) {
  return { x: x + GAP, y: y + GAP, width: Math.max(0, width - 2 * GAP), height: Math.max(0, height - 2 * GAP) };
}

/** As much of a text as a box has room for. */
function fitted(text: string, width: number): string {
  const most = Math.floor((width - 16) / LETTER_PX);
  const plain = text.replace(/^RUN (?:\|\d+ .*?)?\/bin\/sh -c /, 'RUN ').replace(/ # buildkit$/, '');
  return plain.length > most ? `${plain.slice(0, Math.max(0, most - 1))}…` : plain;
}

const filesText = (count: number): string => (count === 1 ? '1 file' : `${count.toLocaleString()} files`);

function LayerFiles({ layer, number }: { readonly layer: Layer; readonly number: number }) {
  const { unpacked } = layer;
  return (
    <section className="panel" aria-label={`Layer ${number}`}>
      <h3>
        Layer {number}: <code>{layer.createdBy}</code>
      </h3>
      {unpacked === null && <p className="quiet">Nobody has looked into it: it is a base’s, or has too many files.</p>}
      {unpacked !== null && (
        <>
          <p>
            {filesText(unpacked.files)}, {bytes(unpacked.sizeBytes)} on a disk, {bytes(layer.sizeBytes)} to pull
            {unpacked.wastedBytes > 0 && `, ${bytes(unpacked.wastedBytes)} of it hidden by later layers`}.
          </p>
          {unpacked.largest.length > 0 && (
            <table>
              <thead>
                <tr>
                  <th scope="col">Largest files</th>
                  <th scope="col" className="number">
                    Size
                  </th>
                </tr>
              </thead>
              <tbody>
                {unpacked.largest.map(({ path, sizeBytes }) => (
                  <tr key={path}>
                    <td className="wide">
                      <code>/{path}</code>
                    </td>
                    <td className="number">{bytes(sizeBytes)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </>
      )}
    </section>
  );
}

function LayerTable({ layers, choose }: { readonly layers: readonly Layer[]; readonly choose: (key: string) => void }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Layers">
      <table className="cards">
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">Made by</th>
            <th scope="col" className="number">
              Files
            </th>
            <th scope="col" className="number">
              On a disk
            </th>
            <th scope="col" className="number">
              Hidden later
            </th>
            <th scope="col" className="number">
              To pull
            </th>
          </tr>
        </thead>
        <tbody>
          {layers.map(({ diffId, createdBy, sizeBytes, unpacked }, at) => (
            <tr key={`${diffId} ${at}`}>
              <td>
                <button type="button" className="plain" onClick={() => choose(short(diffId))}>
                  {at + 1}
                </button>
              </td>
              <td className="wide">
                <code>{createdBy}</code>
              </td>
              <td className="number" data-word="files">
                {unpacked?.files.toLocaleString() ?? '–'}
              </td>
              <td className="number" data-word="on a disk">
                {unpacked === null ? '–' : bytes(unpacked.sizeBytes)}
              </td>
              <td className="number" data-word="hidden">
                {unpacked === null || unpacked.wastedBytes === 0 ? '–' : bytes(unpacked.wastedBytes)}
              </td>
              <td className="number" data-word="to pull">
                {bytes(sizeBytes)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
