import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { ImageDetail, MeView } from '#protocol';
import { farm } from './farm.ts';
import { bytes, short } from './format.ts';
import { Compared } from './image-changes.tsx';
import { Layers } from './image-layers.tsx';
import { familiar } from './image-names.ts';
import { Copy, Fact, Failure, Loading, Time } from './parts.tsx';
import { useTitle } from './use-title.ts';

/** One image: what it is called, what it is made of, and what is not the same in another. */
export default function ImagePage({ digest, me }: { readonly digest: string; readonly me: MeView }) {
  const image = useQuery({ queryKey: ['image', digest], queryFn: ({ signal }) => farm.images.image(digest, signal) });
  const layers = useQuery({
    queryKey: ['layers', digest],
    queryFn: ({ signal }) => farm.images.layers(digest, signal),
  });
  useTitle(image.data === undefined ? 'Image' : titleOf(image.data));
  if (image.data === undefined)
    return image.isError ? (
      <Failure
        error={image.error}
        retry={() => void image.refetch()}
        instead={<Link href="/images">All images</Link>}
      />
    ) : (
      <Loading />
    );
  return (
    <article>
      <ImageHeader image={image.data} me={me} />
      <h2>Layers</h2>
      {layers.isError && <Failure error={layers.error} retry={() => void layers.refetch()} />}
      {layers.isPending && <Loading />}
      {layers.data !== undefined && <Layers layers={layers.data.layers} />}
      <div className="beside">
        <section>
          <h2>History</h2>
          <History image={image.data} />
        </section>
        <section>
          <h2>Compared with another</h2>
          <Compared image={image.data} />
        </section>
      </div>
    </article>
  );
}

const titleOf = ({ names: [first], id }: ImageDetail): string => (first === undefined ? short(id) : familiar(first));

function ImageHeader({ image, me }: { readonly image: ImageDetail; readonly me: MeView }) {
  const pulled = image.repositories[0];
  return (
    <header className="build-header">
      <div className="heading">
        <h1>{titleOf(image)}</h1>
        {me.permissions.includes('build') && <Actions image={image} />}
      </div>
      <dl className="facts">
        <Fact
          name="Digest"
          value={<Copy text={image.digest} shown={`sha256:${short(image.digest)}…`} label="the digest" />}
        />
        <Fact name="Id" value={<Copy text={image.id} shown={short(image.id)} label="the id" />} />
        <Fact name="Size" value={bytes(image.sizeBytes)} />
        <Fact name="Platforms" value={image.platforms.join(', ')} />
        <Fact name="Made" value={<Time at={image.createdAt} />} />
        <Fact name="Build" value={<Link href={`/b/${image.buildId}`}>{image.buildId}</Link>} />
        <Fact name="Scope" value={image.scope} />
        <Attested image={image} />
        <Fact name="Stays" value={image.kept ? 'with all its layers' : 'as far as the cache has its layers'} />
      </dl>
      {image.names.length > 1 && <p>Also called {image.names.slice(1).map(familiar).join(', ')}.</p>}
      {pulled !== undefined && (
        <p>
          <Copy
            text={`docker pull ${familiar(pulled)}@${image.digest}`}
            shown={`docker pull ${familiar(pulled)}@sha256:${short(image.digest)}…`}
            label="the command that pulls it"
          />
        </p>
      )}
    </header>
  );
}

const predicates: Readonly<Record<string, string>> = {
  'https://spdx.dev/Document': 'bill of materials',
  'https://slsa.dev/provenance/v1': 'provenance',
  'https://slsa.dev/provenance/v0.2': 'provenance',
};

/** What is told of it beside it in its registry. */
function Attested({ image }: { readonly image: ImageDetail }) {
  const { variants } = image.content;
  const told = variants.flatMap(({ platform: { os, architecture }, attestations = [] }) =>
    attestations.map(({ predicateType, descriptor: { digest } }) => ({
      digest,
      name: predicates[predicateType] ?? predicateType,
      of: variants.length > 1 ? ` of ${os}/${architecture}` : '',
    })),
  );
  if (told.length === 0) return null;
  const links = told.map(({ digest, name, of }, at) => (
    <span key={digest}>
      {at > 0 && ', '}
      <a href={`/v1/images/${encodeURIComponent(image.digest)}/attestations/${encodeURIComponent(digest)}`} download>
        {name}
        {of}
      </a>
    </span>
  ));
  return <Fact name="Attested" value={<>{links}</>} />;
}

function Actions({ image }: { readonly image: ImageDetail }) {
  const [location, go] = useLocation();
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const tag = useMutation({
    mutationFn: (wanted: string) => farm.images.tag(image.digest, wanted),
    onSuccess: async (_, wanted) => {
      // Who has begun to write the next one meanwhile keeps it.
      setName((now) => (now === wanted ? '' : now));
      await queries.invalidateQueries();
    },
  });
  const remove = useMutation({
    mutationFn: () => farm.images.remove(image.digest, { force: true }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['images'] });
      if (location.startsWith('/images/')) go('/images');
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name !== '') tag.mutate(name);
  };
  const leave = (): void => {
    const names = image.names.map(familiar).join(', ');
    if (window.confirm(names === '' ? 'Remove this image?' : `Remove this image with its names ${names}?`))
      remove.mutate();
  };
  return (
    <>
      <form className="filters" onSubmit={submit}>
        <input
          aria-label="One more name"
          placeholder="acme/app:latest"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" disabled={name === '' || tag.isPending}>
          Tag
        </button>
        <button type="button" onClick={leave} disabled={remove.isPending}>
          Remove
        </button>
      </form>
      {tag.isError && <Failure error={tag.error} />}
      {remove.isError && <Failure error={remove.error} />}
    </>
  );
}

/** Every line with the image that it gave, the newest first: `docker history`. */
function History({ image }: { readonly image: ImageDetail }) {
  const lines = image.content.variants[0]?.history.toReversed() ?? [];
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="History">
      <table className="cards">
        <thead>
          <tr>
            <th scope="col">Image</th>
            <th scope="col">Made by</th>
            <th scope="col" className="number">
              Size
            </th>
            <th scope="col" className="number">
              Made
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line, at) => (
            // Two lines may well say the same.
            // biome-ignore lint/suspicious/noArrayIndexKey: the order is fixed
            <tr key={at}>
              <td>
                {line.id === undefined ? (
                  <span className="quiet">of the base</span>
                ) : (
                  <code title={line.id}>{short(line.id)}</code>
                )}
              </td>
              <td className="wide">
                <code>{line.createdBy}</code>
              </td>
              <td className="number">{line.layer === undefined ? '–' : bytes(line.layer.descriptor.size)}</td>
              <td className="number">{line.createdAt === undefined ? '–' : <Time at={line.createdAt} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
