import { useQuery } from '@tanstack/react-query';
import { type MeView, readsTeam } from '#protocol';
import { farm } from './farm.ts';
import { useProject } from './use-project.ts';

/** As many as the choice holds; the URL takes others, too. */
const MOST = 100;

/** The projects of the team that the token reads, by their names. */
export function useProjects(me: MeView): readonly string[] {
  const list = useQuery({
    queryKey: ['projects'],
    enabled: readsTeam(me),
    queryFn: ({ signal }) => farm.access.projects({ limit: MOST, signal }),
  });
  return list.data?.projects.map(({ name }) => name) ?? [me.project];
}

/** Which project the page is about, for who reads several. */
export function ProjectChoice({ me }: { readonly me: MeView }) {
  const names = useProjects(me);
  const { project, setProject } = useProject();
  if (names.length < 2) return null;
  return (
    <select
      aria-label="Project"
      value={project === '' ? me.project : project}
      onChange={({ target: { value } }) => setProject(value === me.project ? '' : value)}
    >
      {[...new Set([me.project, ...names, ...(project === '' ? [] : [project])])].map((name) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  );
}
