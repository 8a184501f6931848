import { useQuery } from '@tanstack/react-query';
import type { Provenance } from '#protocol';
import { short } from './format.ts';
import { Fact, Failure, Loading } from './parts.tsx';
import { useProject } from './use-project.ts';

/** What the image was made of, by whom, and at whose wish: for whoever has to account for it. */
export function BuildProvenance({ id, made }: { readonly id: string; readonly made: boolean }) {
  const { farm, link } = useProject();
  const found = useQuery({
    queryKey: ['provenance', id],
    enabled: made,
    queryFn: ({ signal }) => farm.provenance(id, signal),
    staleTime: Infinity,
  });
  return (
    <section aria-label="Provenance">
      <div className="heading provenance">
        <h2>Provenance</h2>
        {made && (
          <a
            className="button"
            href={link(`/v1/builds/${encodeURIComponent(id)}/provenance`)}
            download={`${id}.intoto.json`}
          >
            Download
          </a>
        )}
      </div>
      {!made && (
        <p className="quiet">
          This build made no image. One that does has its provenance here: <code>kiln build . -t acme/app:latest</code>.
        </p>
      )}
      {made && found.isPending && <Loading />}
      {found.isError && <Failure error={found.error} retry={() => void found.refetch()} />}
      {found.data !== undefined && <Statement {...found.data.predicate} />}
    </section>
  );
}

function Statement({ buildDefinition, runDetails }: Provenance['predicate']) {
  const { externalParameters: asked, internalParameters, resolvedDependencies } = buildDefinition;
  const { reused } = internalParameters;
  const builds = new Set(reused.map(({ build }) => build)).size;
  const { repository, commit } = asked.source;
  return (
    <>
      <dl className="facts">
        <Fact name="Builder" value={runDetails.builder.id} />
        <Fact name="Dockerfile" value={<code>{asked.dockerfile}</code>} />
        {asked.target !== undefined && <Fact name="Target" value={<code>{asked.target}</code>} />}
        {repository !== undefined && <Fact name="Repository" value={repository} />}
        {commit !== undefined && <Fact name="Commit" value={<code>{commit.slice(0, 10)}</code>} />}
        {asked.buildArgs.length > 0 && <Fact name="Arguments" value={<code>{asked.buildArgs.join(', ')}</code>} />}
        {reused.length > 0 && (
          <Fact
            name="From the cache"
            value={`${reused.length} step${reused.length === 1 ? '' : 's'} of ${builds} build${builds === 1 ? '' : 's'}`}
          />
        )}
        {asked.secrets.length > 0 && <Fact name="Secrets" value={<code>{asked.secrets.join(', ')}</code>} />}
      </dl>
      <div className="scroll" tabIndex={0} role="region" aria-label="Materials">
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">Material</th>
              <th scope="col">Digest</th>
            </tr>
          </thead>
          <tbody>
            {resolvedDependencies.map(({ name, digest: { sha256 = '' } }) => (
              <tr key={`${name} ${sha256}`}>
                <td className="wide">{name}</td>
                <td>
                  <code title={`sha256:${sha256}`}>{short(sha256)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="quiet">
        As the farm recorded it, in the form of SLSA; it is not signed. <code>--provenance</code> puts one beside the
        image in its registry.
      </p>
    </>
  );
}
