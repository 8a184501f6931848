import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useId, useState } from 'react';
import { Link } from 'wouter';
import type { MeView, ProjectDetail } from '#protocol';
import { farm } from './farm.ts';
import { bytes } from './format.ts';
import { Copy, Failure, Loading } from './parts.tsx';
import { Choice, Field } from './settings-form.tsx';
import { mayAdminister } from './settings-rights.tsx';

/** What of the project everybody may see, and how much of its quotas it has used. */
export function Project({ me }: { readonly me: MeView }) {
  const project = useQuery({
    queryKey: ['settings', 'project'],
    queryFn: ({ signal }) => farm.access.project(me.project, signal),
  });
  if (project.isError) return <Failure error={project.error} retry={() => void project.refetch()} />;
  if (project.data === undefined) return <Loading />;
  return (
    <>
      <BadgeSwitch me={me} badge={project.data.badge} />
      <Quotas quotas={project.data.quotas} />
    </>
  );
}

const figures = ['hits', 'build'] as const;

function BadgeSwitch({ me, badge }: { readonly me: MeView; readonly badge: ProjectDetail['badge'] }) {
  const queries = useQueryClient();
  const [figure, setFigure] = useState<(typeof figures)[number]>('hits');
  const show = useMutation({
    mutationFn: (shown: boolean) => farm.access.showBadge(me.project, shown),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['settings', 'project'] }),
  });
  const query = figure === 'hits' ? '' : `?show=${figure}`;
  const mine = mayAdminister(me);
  return (
    <section aria-label="Badge" className="panel">
      <h2>Badge</h2>
      <p>
        A picture of the hit ratio of the last 30 days, or of how the last build ended, for everybody who has its
        address. It is {badge.public ? 'shown' : 'hidden'}.
      </p>
      {mine ? (
        <p>
          <button type="button" disabled={show.isPending} onClick={() => show.mutate(!badge.public)}>
            {badge.public ? 'Hide the badge' : 'Show the badge'}
          </button>
        </p>
      ) : (
        <p className="quiet">Only who administers the project shows or hides it.</p>
      )}
      {show.isError && <Failure error={show.error} />}
      {badge.public && (
        <>
          <Field label="Of what" fault={undefined}>
            {(wiring) => <Choice {...wiring} options={figures} value={figure} onChange={setFigure} />}
          </Field>
          <p>
            {/* From where the page is: the public address may be another one. */}
            <img
              src={`/v1/projects/${encodeURIComponent(me.project)}/badge.svg${query}`}
              alt={`The badge: ${figure}`}
              height="20"
            />
          </p>
          <p>
            <Copy text={`[![Kiln](${badge.url}${query})](${new URL(badge.url).origin}/)`} label="the markdown" />
          </p>
        </>
      )}
    </section>
  );
}

function Quotas({ quotas }: { readonly quotas: ProjectDetail['quotas'] }) {
  const usage = useQuery({ queryKey: ['usage'], queryFn: ({ signal }) => farm.cacheUsage(signal) });
  const { sentBytes, sentQuotaBytes, maxRunning, maxQueued } = quotas;
  return (
    <section aria-label="Quotas" className="panel">
      <h2>Quotas</h2>
      {usage.isError && <Failure error={usage.error} retry={() => void usage.refetch()} />}
      <dl className="quotas">
        {usage.data !== undefined && (
          <Quota name="Cache" used={usage.data.cacheBytes} of={usage.data.quotaBytes}>
            what is least worth goes first once it is full; <code>kiln cache du</code> tells more
          </Quota>
        )}
        <Quota name="Sent by clients" used={sentBytes} of={sentQuotaBytes}>
          once it is full, no more contexts are taken until old ones are forgotten
        </Quota>
      </dl>
      <p>
        {maxRunning === null ? 'Builds run as there are builders for them' : `${maxRunning} builds run at once`}, and{' '}
        {maxQueued.toLocaleString()} may wait; <Link href="/farm">what waits now</Link>. The farm’s operator sets all of
        these.
      </p>
    </section>
  );
}

interface QuotaProps {
  readonly name: string;
  readonly used: number;
  /** null: there is no limit */
  readonly of: number | null;
  readonly children: ReactNode;
}

function Quota({ name, used, of, children }: QuotaProps) {
  const id = useId();
  return (
    <div>
      <dt id={id}>{name}</dt>
      <dd>
        {of !== null && of > 0 && (
          <meter aria-labelledby={id} min={0} max={of} high={of * 0.9} value={Math.min(used, of)} />
        )}{' '}
        {bytes(used)} {of === null ? 'without a limit' : `of ${bytes(of)}`}
        <div className="quiet">{children}</div>
      </dd>
    </div>
  );
}
