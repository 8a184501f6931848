import { useMemo } from 'react';
import type { BuildsClient } from '#client';
import { farm } from './farm.ts';
import { useQueryWord } from './query-state.ts';

export interface ShownProject {
  /** `''`: the token's own */
  readonly project: string;
  readonly setProject: (name: string) => void;
  /** what reads it */
  readonly farm: BuildsClient;
  /** the address of another page about it */
  readonly link: (path: string, query?: Readonly<Record<string, string>>) => string;
}

/** The project that the URL names. */
export function useProject(): ShownProject {
  const [project, setProject] = useQueryWord('project');
  const there = useMemo(() => farm.ofProject(project === '' ? undefined : project), [project]);
  const link: ShownProject['link'] = (path, query = {}) => {
    const words = new URLSearchParams(project === '' ? query : { project, ...query });
    return words.size === 0 ? path : `${path}?${words.toString()}`;
  };
  return { project, setProject, farm: there, link };
}
