import { useInfiniteQuery } from '@tanstack/react-query';
import type { MeView } from '#protocol';
import { farm } from './farm.ts';
import { Failure, Loading, Time } from './parts.tsx';
import { useQueryWord } from './query-state.ts';
import { Table } from './settings-list.tsx';
import { mayAdminister, NotYours } from './settings-rights.tsx';

const PAGE = 50;
/** What actions are about: the first part of each. */
const subjects = [...['token', 'member', 'project', 'scope', 'trust-rule', 'registry', 'webhook', 'badge', 'cache']];

/** Who did what, the newest first; the filter is in the address. */
export function Audit({ me }: { readonly me: MeView }) {
  const [action, setAction] = useQueryWord('action');
  const [by, setBy] = useQueryWord('by');
  const mine = mayAdminister(me);
  const log = useInfiniteQuery({
    queryKey: ['settings', 'Audit', action, by],
    queryFn: ({ pageParam, signal }) =>
      farm.access.audit({
        ...{ limit: PAGE, cursor: pageParam, signal },
        action: action === '' ? undefined : action,
        by: by === '' ? undefined : by,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    enabled: mine,
  });
  if (!mine) return <NotYours me={me} what="the audit log" />;
  const entries = log.data?.pages.flatMap((each) => each.entries);
  return (
    <>
      <div className="filters" role="search" aria-label="Audit">
        <select aria-label="What" value={action} onChange={(event) => setAction(event.target.value)}>
          <option value="">everything</option>
          {[...new Set([...subjects, ...(action === '' ? [] : [action])])].map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <input
          type="search"
          aria-label="Who: a member, or the id of a token"
          placeholder="who"
          value={by}
          onChange={(event) => setBy(event.target.value)}
        />
      </div>
      {log.isError && <Failure error={log.error} retry={() => void log.refetch()} />}
      {log.isPending && <Loading />}
      {entries?.length === 0 && (
        <div className="notice">
          <p>{action === '' && by === '' ? 'Nothing was done yet.' : 'Nothing like that was done.'}</p>
        </div>
      )}
      {entries !== undefined && entries.length > 0 && (
        <Table
          name="Audit"
          heads={['When', 'Who', 'What', 'To', 'Detail']}
          rows={entries}
          keyOf={({ id }) => id}
          row={({ at, member, tokenId, action: what, target, detail }) => [
            <Time at={at} />,
            member ?? tokenId ?? 'the operator',
            what,
            target,
            <code className="quiet">{JSON.stringify(detail)}</code>,
          ]}
        />
      )}
      {log.hasNextPage && (
        <p>
          <button type="button" onClick={() => void log.fetchNextPage()} disabled={log.isFetchingNextPage}>
            Older
          </button>
        </p>
      )}
    </>
  );
}
