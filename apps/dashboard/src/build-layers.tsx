import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { type BuildView, type ImageDetail, instructionOf, partsOf, type StepView } from '#protocol';
import { isKilnError } from '#std';
import { farm } from './farm.ts';
import { bytes, short } from './format.ts';
import { repositoryOf } from './image-names.ts';
import { Failure } from './parts.tsx';
import { keyOf } from './step-key.ts';

/** What builders write behind a line of the history. */
const MARK = / # (?:buildkit|kiln)$/;

interface BuildLayersProps {
  readonly build: BuildView;
  readonly digest: string;
  readonly steps: readonly StepView[];
}

/** The layers of what the build made, each with its size and the step that it is from. */
export default function BuildLayers({ build, digest, steps }: BuildLayersProps) {
  const image = useQuery({ queryKey: ['image', digest], queryFn: ({ signal }) => farm.images.image(digest, signal) });
  const before = useBefore(build, digest);
  // An image that was removed since has no page.
  if (isKilnError(image.error, 'NOT_FOUND')) return null;
  if (image.isError) return <Failure error={image.error} retry={() => void image.refetch()} />;
  const [variant] = image.data?.content.variants ?? [];
  if (image.data === undefined || variant === undefined) return null;
  const { base, sizeBytes } = variant;
  const layers = variant.history.flatMap(({ createdBy, layer }) => (layer === undefined ? [] : [{ createdBy, layer }]));
  return (
    <section aria-label="Layers">
      <h2>
        Layers <span className="quiet">{bytes(sizeBytes)}</span>
      </h2>
      <p>
        <Link href={`/images/${digest}`}>What is in them</Link>
        {before !== undefined && (
          <>
            {' · '}
            <Link href={`/images/${digest}?with=${before.digest}`}>what changed since build {before.buildId}</Link>
          </>
        )}
      </p>
      <div className="scroll" tabIndex={0} role="region" aria-label="Layers by step">
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">Made by</th>
              <th scope="col">Digest</th>
              <th scope="col" className="number">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {layers.map(({ createdBy, layer: { descriptor } }, at) => {
              const ofBase = base !== undefined && at < base.layers;
              const step = ofBase ? undefined : madeBy(createdBy, steps);
              return (
                <tr key={`${descriptor.digest} ${at}`}>
                  <td className="place">
                    {step === undefined ? (
                      <span className="quiet">{ofBase ? 'base' : ''}</span>
                    ) : (
                      <Link href={`/b/${build.id}?step=${encodeURIComponent(keyOf(step))}`}>
                        {partsOf(step.name).place}
                      </Link>
                    )}
                  </td>
                  <td className="wide">
                    <code>{createdBy.replace(MARK, '')}</code>
                  </td>
                  <td>
                    <code className="quiet">{short(descriptor.digest)}</code>
                  </td>
                  <td className="number">{bytes(descriptor.size)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const plain = (text: string): string =>
  text
    .replace(/^RUN (?:\|\d+ .*?)?\/bin\/sh -c /, 'RUN ')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** The step whose instruction an entry of the history tells, as far as one can tell. */
function madeBy(createdBy: string, steps: readonly StepView[]): StepView | undefined {
  const wanted = plain(createdBy).replace(MARK, '');
  return steps.find(({ step, empty, name }) => step && !empty && plain(instructionOf(name)) === wanted);
}

/** The last image of the same name and branch before this one, where it is another. */
function useBefore(
  build: BuildView,
  digest: string,
): { readonly buildId: string; readonly digest: ImageDetail['digest'] } | undefined {
  const { tags, source } = build.request;
  const name = tags[0] === undefined ? '' : repositoryOf(tags[0]);
  const found = useQuery({
    queryKey: ['before', build.id],
    enabled: name !== '',
    queryFn: ({ signal }) =>
      farm.builds({
        image: [name],
        state: ['succeeded'],
        until: build.createdAt,
        limit: 10,
        signal,
        ...(source.branch === undefined ? { scope: [build.scope] } : { branch: [source.branch] }),
      }),
  });
  const earlier = found.data?.builds.find(({ result }) => result?.digest !== undefined && result.digest !== digest);
  return earlier?.result?.digest === undefined ? undefined : { buildId: earlier.id, digest: earlier.result.digest };
}
