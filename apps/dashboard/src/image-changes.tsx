import { useQuery } from '@tanstack/react-query';
import type { ImageDetail } from '#protocol';
import { farm } from './farm.ts';
import { bytes, short } from './format.ts';
import { familiar, repositoryOf } from './image-names.ts';
import { Failure, Loading } from './parts.tsx';
import { useQueryWord } from './query-state.ts';

const OTHERS = 30;

/** What is not the same in another image, of the same name if it has one. */
export function Compared({ image }: { readonly image: ImageDetail }) {
  const [other, setOther] = useQueryWord('with');
  const name = image.names[0];
  const repository = name === undefined ? undefined : familiar(repositoryOf(name));
  const others = useQuery({
    queryKey: ['others', repository],
    queryFn: ({ signal }) =>
      farm.images.list({ name: repository, all: repository === undefined, limit: OTHERS }, signal),
  });
  const changes = useQuery({
    queryKey: ['changes', image.digest, other],
    queryFn: ({ signal }) => farm.images.changes(image.digest, other, signal),
    enabled: other !== '',
  });
  const choices = others.data?.images.filter(({ digest }) => digest !== image.digest) ?? [];
  return (
    <>
      <p>
        <select aria-label="Other image" value={other} onChange={(event) => setOther(event.target.value)}>
          <option value="">choose an image</option>
          {choices.map(({ digest, names, id, createdAt }) => (
            <option key={digest} value={digest}>
              {names[0] === undefined ? short(id) : familiar(names[0])}, {new Date(createdAt).toLocaleString()}
            </option>
          ))}
          {other !== '' && !choices.some(({ digest }) => digest === other) && (
            <option value={other}>{short(other)}</option>
          )}
        </select>
        {choices.length === 0 && others.isSuccess && <span className="quiet"> there is no other of this name yet</span>}
      </p>
      {changes.isError && <Failure error={changes.error} retry={() => void changes.refetch()} />}
      {changes.isLoading && <Loading />}
      {changes.data !== undefined && <Changes {...changes.data} />}
    </>
  );
}

const signs = { added: '+', removed: '−', changed: '~' } as const;

function Changes({ counts, grownBytes, changes }: Awaited<ReturnType<typeof farm.images.changes>>) {
  const all = counts.added + counts.removed + counts.changed;
  if (all === 0) return <p>All files are the same.</p>;
  const grown =
    grownBytes === 0 ? 'as large as before' : `${bytes(Math.abs(grownBytes))} ${grownBytes > 0 ? 'larger' : 'smaller'}`;
  return (
    <>
      <p>
        {counts.added.toLocaleString()} added, {counts.removed.toLocaleString()} removed,{' '}
        {counts.changed.toLocaleString()} changed; {grown}.
        {all > changes.length && ` The ${changes.length.toLocaleString()} largest changes:`}
      </p>
      <div className="scroll file-changes" tabIndex={0} role="region" aria-label="Changes">
        <table>
          <tbody>
            {changes.map(({ path, change, before, after }) => (
              <tr key={path}>
                <td>
                  <span className={`change ${change}`}>
                    <span aria-hidden="true">{signs[change]}</span> {change}
                  </span>
                </td>
                <td className="wide">
                  <code>/{path}</code>
                </td>
                <td className="number">{before === null ? '' : bytes(before)}</td>
                <td className="number">{after === null ? '' : bytes(after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
