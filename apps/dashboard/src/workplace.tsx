import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useLocation } from 'wouter';
import type { MeView, ProjectView } from '#protocol';
import { workIn, workplaces } from './farm.ts';
import { Failure } from './parts.tsx';

const NONE: readonly ProjectView[] = [];
/** The session that they share is in another project: what one says here, all others hear. */
const otherTabs = new BroadcastChannel('kiln-workplace');

/** Whether somebody has signed in at the farm's issuer, and not with a token. */
export const isPerson = ({ kind, subject }: MeView): boolean => kind === 'member' && subject !== null;

/** The projects that the session can be in; none where it stands for a token. */
export function useWorkplaces(me: MeView): readonly ProjectView[] {
  const list = useQuery({
    queryKey: ['workplaces'],
    enabled: isPerson(me),
    queryFn: ({ signal }) => workplaces(signal),
    staleTime: 60_000,
  });
  return list.data?.projects ?? NONE;
}

/** Goes on in another project, and shows a page anew: nothing that was read or written before is of it. */
export function useWorkIn() {
  return useMutation({
    mutationFn: async ({ project }: { readonly project: string; readonly to: string }) => await workIn(project),
    onSuccess: (_, { to }) => {
      otherTabs.postMessage('');
      window.location.assign(to);
    },
  });
}

/** Whatever another tab does with the session, no page here is still of the project before. */
export function useWorkplaceOfOtherTabs(): void {
  useEffect(() => {
    otherTabs.onmessage = () => window.location.reload();
    return () => void (otherTabs.onmessage = null);
  }, []);
}

/** In which project who works: what is changed, is changed there. */
export function Workplace({ me }: { readonly me: MeView }) {
  const [location] = useLocation();
  const places = useWorkplaces(me);
  const move = useWorkIn();
  const who = me.member === null ? '' : ` · ${me.member.name}`;
  if (places.length < 2)
    return (
      <span className="who quiet" title={`${me.token.name}, scope ${me.scope}`}>
        {me.project}
        {who}
      </span>
    );
  const teams = [...new Set(places.map(({ team }) => team))];
  // A build or an image is of one project: its list is of the other, too.
  const to = location.startsWith('/b/') ? '/' : location.replace(/^(\/images)\/.*/, '$1');
  return (
    <span className="who switch quiet">
      <select
        aria-label="Work in project"
        title="What you retry, cancel and set is of this project"
        value={me.project}
        disabled={move.isPending}
        onChange={({ target: { value: project } }) => move.mutate({ project, to })}
      >
        {teams.map((team) => (
          <optgroup key={team} label={`Team ${team}`}>
            {places
              .filter((each) => each.team === team)
              .map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
          </optgroup>
        ))}
      </select>
      <span className="name">{who}</span>
      {move.isError && <Failure error={move.error} />}
    </span>
  );
}

/** Of what is another project's: the way to where something can be done with it. */
export function WorkThere({ me, project, to }: { readonly me: MeView; readonly project: string; readonly to: string }) {
  const places = useWorkplaces(me);
  const move = useWorkIn();
  if (isPerson(me) && places.length === 0) return null;
  if (!places.some(({ name }) => name === project))
    return <span className="quiet">To do something with it, sign in with a token of {project}.</span>;
  return (
    <>
      <button type="button" disabled={move.isPending} onClick={() => move.mutate({ project, to })}>
        Work in {project}
      </button>
      {move.isError && <Failure error={move.error} />}
    </>
  );
}
