import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { Link } from 'wouter';
import type { ImageView } from '#protocol';
import { farm } from './farm.ts';
import { bytes, short } from './format.ts';
import { familiar, isImageName, repositoryOf } from './image-names.ts';
import { Failure, Loading, Time } from './parts.tsx';
import { useQueryWord } from './query-state.ts';

const SizeChart = lazy(() => import('./size-chart.tsx'));
const LOOK_MS = 5_000;
const PAGE = 50;

/** Images that builds made; of one repository also how their size went. */
export default function ImagesPage() {
  const [name, setName] = useQueryWord('name');
  const [all, setAll] = useQueryWord('all');
  // Half a name is none: the list stays as it is until the word is whole.
  const wanted = isImageName(name) ? name : undefined;
  const list = useInfiniteQuery({
    queryKey: ['images', wanted, all],
    queryFn: ({ signal, pageParam }) =>
      farm.images.list({ name: wanted, all: all !== '', limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: LOOK_MS,
    placeholderData: keepPreviousData,
  });
  const images = list.data?.pages.flatMap((page) => page.images) ?? [];
  const repositories = new Set(images.flatMap(({ names }) => names.map(repositoryOf)));
  return (
    <>
      <div className="heading">
        <h1>Images</h1>
        <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
          <input
            type="search"
            aria-label="Name"
            placeholder="acme/app"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <label>
            <input type="checkbox" checked={all !== ''} onChange={(event) => setAll(event.target.checked ? '1' : '')} />{' '}
            without a name too
          </label>
        </form>
      </div>
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Loading />}
      {list.isSuccess && images.length === 0 && <Empty filtered={wanted !== undefined} />}
      {repositories.size === 1 && images.length > 1 && (
        <Suspense fallback={<Loading />}>
          <SizeChart images={images} />
        </Suspense>
      )}
      {images.length > 0 && <ImageTable images={images} />}
      {list.hasNextPage && (
        <button type="button" onClick={() => void list.fetchNextPage()} disabled={list.isFetchingNextPage}>
          Older images
        </button>
      )}
    </>
  );
}

function Empty({ filtered }: { readonly filtered: boolean }) {
  if (filtered)
    return (
      <div className="notice">
        <p>No image has that name.</p>
        <Link href="/images">All images</Link>
      </div>
    );
  return (
    <div className="notice">
      <p>No build has named an image yet:</p>
      <pre>kiln build . -t acme/app:latest</pre>
    </div>
  );
}

function ImageTable({ images }: { readonly images: readonly ImageView[] }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Images">
      <table className="builds cards">
        <thead>
          <tr>
            <th scope="col">Image</th>
            <th scope="col">Names</th>
            <th scope="col">Platforms</th>
            <th scope="col">Build</th>
            <th scope="col" className="number">
              Size
            </th>
            <th scope="col" className="number">
              Made
            </th>
          </tr>
        </thead>
        <tbody>
          {images.map((image) => (
            <tr key={`${image.scope} ${image.digest}`}>
              <td>
                <Link href={`/images/${image.digest}`}>
                  <code>{short(image.id)}</code>
                </Link>
                {image.kept && <div className="quiet">kept whole</div>}
              </td>
              <td className="wide">
                {image.names.length === 0 && <span className="quiet">none</span>}
                {image.names.map((each) => (
                  <div key={each}>
                    <Link href={`/images?name=${encodeURIComponent(familiar(repositoryOf(each)))}`}>
                      {familiar(each)}
                    </Link>
                  </div>
                ))}
              </td>
              <td>{image.platforms.join(', ')}</td>
              <td>
                <Link href={`/b/${image.buildId}`}>
                  <code>{image.buildId.slice(0, 8)}</code>
                </Link>{' '}
                <span className="quiet">{image.scope}</span>
              </td>
              <td className="number">{bytes(image.sizeBytes)}</td>
              <td className="number">
                <Time at={image.createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
