import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { BuildState, type BuildView, type MeView, StepOutcome } from '#protocol';
import { buildName, commandOf } from './build-name.ts';
import { duration, short } from './format.ts';
import { Week } from './week.tsx';
import { Failure, Loading, State, StepsBar, Time, useNow } from './parts.tsx';
import { ProjectChoice } from './project-choice.tsx';
import { useQueryWord } from './query-state.ts';
import { useProject } from './use-project.ts';
import { kindOf, usualMs } from './usual.ts';

const LOOK_MS = 2_000;
const PAGE = 30;
/** Of builds that succeeded: what is usual is told from these. */
const SAMPLE = 60;
const SAMPLE_MS = 60_000;

/** Builds, the newest first, as they come and go. */
export function BuildsPage({ me }: { readonly me: MeView }) {
  const { project, farm } = useProject();
  const [state, setState] = useQueryWord('state');
  const [branch, setBranch] = useQueryWord('branch');
  const [image, setImage] = useQueryWord('image');
  const [commit, setCommit] = useQueryWord('commit');
  const [author, setAuthor] = useQueryWord('author');
  const [words, setWords] = useQueryWord('text');
  const [scope, setScope] = useQueryWord('scope');
  const [step, setStep] = useQueryWord('step');
  const [cause, setCause] = useQueryWord('cause');
  const [outcome, setOutcome] = useQueryWord('outcome');
  const [since, setSince] = useQueryWord('since');
  const [until, setUntil] = useQueryWord('until');
  const chips = [
    ['scope', scope, setScope],
    ['had to run', step, setStep],
    ['for', cause, setCause],
    ['has a step that is', outcome, setOutcome],
    ['since', since, setSince],
    ['before', until, setUntil],
  ] as const;
  const filter = {
    ...(BuildState.safeParse(state).success ? { state: [BuildState.parse(state)] } : {}),
    ...(branch === '' ? {} : { branch: [branch] }),
    ...(image === '' ? {} : { image: [image] }),
    ...(commit.length < 4 ? {} : { commit: [commit.toLowerCase()] }),
    ...(author === '' ? {} : { author: [author] }),
    ...(words === '' ? {} : { text: words }),
    ...(scope === '' ? {} : { scope: [scope] }),
    ...(step === '' ? {} : { step }),
    ...(cause === '' ? {} : { cause }),
    ...(StepOutcome.safeParse(outcome).success ? { outcome: StepOutcome.parse(outcome) } : {}),
    ...timeOf('since', since),
    ...timeOf('until', until),
  };
  const list = useInfiniteQuery({
    queryKey: ['builds', project, filter],
    queryFn: ({ signal, pageParam }) => farm.builds({ ...filter, limit: PAGE, cursor: pageParam, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: LOOK_MS,
    placeholderData: keepPreviousData,
  });
  const usual = useQuery({
    queryKey: ['usual', project],
    queryFn: async ({ signal }) => usualMs((await farm.builds({ state: ['succeeded'], limit: SAMPLE, signal })).builds),
    staleTime: SAMPLE_MS,
  });
  const builds = list.data?.pages.flatMap((page) => page.builds) ?? [];
  return (
    <>
      <div className="heading">
        <h1>Builds</h1>
        <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
          <ProjectChoice me={me} />
          <select aria-label="Status" value={state} onChange={(event) => setState(event.target.value)}>
            <option value="">any status</option>
            {BuildState.options.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
          <Word label="Text" value={words} set={setWords} />
          <Word label="Branch" value={branch} set={setBranch} />
          <Word label="Image" value={image} set={setImage} />
          <Word label="Commit" value={commit} set={setCommit} />
          <Word label="Author" value={author} set={setAuthor} />
        </form>
      </div>
      <p className="chips" hidden={chips.every(([, value]) => value === '')}>
        {chips
          .filter(([, value]) => value !== '')
          .map(([word, value, set]) => (
            <button key={word} type="button" onClick={() => set('')} title="Without this">
              {word} {value} <span aria-hidden="true">×</span>
            </button>
          ))}
      </p>
      {Object.keys(filter).length === 0 && <Week />}
      {list.isError && (
        <Failure
          error={list.error}
          retry={() => void list.refetch()}
          instead={<Link href="/">Builds of {me.project}</Link>}
        />
      )}
      {list.isPending && <Loading />}
      {list.isSuccess && builds.length === 0 && <Empty filtered={Object.keys(filter).length > 0} />}
      {builds.length > 0 && <BuildTable builds={builds} usual={usual.data ?? new Map()} />}
      {list.hasNextPage && (
        <button type="button" onClick={() => void list.fetchNextPage()} disabled={list.isFetchingNextPage}>
          Older builds
        </button>
      )}
    </>
  );
}

/** Days of the URL are those of UTC, as figures have them. */
function timeOf(name: 'since' | 'until', value: string): Record<string, string> {
  const at = Date.parse(value);
  return Number.isNaN(at) ? {} : { [name]: new Date(at).toISOString() };
}

function Word(props: { readonly label: string; readonly value: string; readonly set: (value: string) => void }) {
  const { label, value, set } = props;
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={label.toLowerCase()}
      value={value}
      onChange={(event) => set(event.target.value)}
    />
  );
}

function Empty({ filtered }: { readonly filtered: boolean }) {
  const { link } = useProject();
  if (filtered)
    return (
      <div className="notice">
        <p>No build is like that.</p>
        <Link href={link('/')}>All builds</Link>
      </div>
    );
  return (
    <div className="notice">
      <p>No build yet. In a directory with a Dockerfile:</p>
      <pre>kiln build . -t acme/app:latest</pre>
    </div>
  );
}

interface BuildTableProps {
  readonly builds: readonly BuildView[];
  /** what builds of a kind usually take */
  readonly usual: ReadonlyMap<string, number>;
}

function BuildTable({ builds, usual }: BuildTableProps) {
  const live = builds.some(({ state }) => state === 'running');
  const nowMs = useNow(1_000, live);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Builds">
      <table className="builds cards">
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Build</th>
            <th scope="col">Branch</th>
            <th scope="col">Steps</th>
            <th scope="col" className="number">
              Took
            </th>
            <th scope="col" className="number">
              Saved
            </th>
            <th scope="col" className="number">
              When
            </th>
          </tr>
        </thead>
        <tbody>
          {builds.map((build) => (
            <BuildRow key={build.id} build={build} nowMs={nowMs} usualMs={usual.get(kindOf(build.request))} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface BuildRowProps {
  readonly build: BuildView;
  readonly nowMs: number;
  readonly usualMs: number | undefined;
}

function BuildRow({ build, nowMs, usualMs }: BuildRowProps) {
  const { id, state, request, result, createdAt } = build;
  const { branch, commit } = request.source;
  const { link } = useProject();
  return (
    <tr>
      <td>
        <State of={state} />
      </td>
      <td className="what">
        <Link href={link(`/b/${id}`)}>{buildName(request)}</Link>
        <span className="quiet">{saidOf(build)}</span>
      </td>
      <td>
        {branch ?? <span className="quiet">{build.scope}</span>}
        {commit !== undefined && <code className="quiet"> {short(commit).slice(0, 7)}</code>}
      </td>
      <td>{result !== null && result.steps.total > 0 && <StepsBar steps={result.steps} />}</td>
      <td className="number" data-word="took">
        {tookText(build, nowMs)}
        {usualMs !== undefined && request.call === 'build' && (
          <span className="quiet"> usually {duration(usualMs)}</span>
        )}
      </td>
      <td className="number" data-word="saved">
        {result !== null && result.savedMs > 0 ? duration(result.savedMs) : ''}
      </td>
      <td className="number">
        <Time at={createdAt} />
      </td>
    </tr>
  );
}

/** What tells it from others of its name. */
function saidOf({ id, request: { run, source }, failure }: BuildView): string {
  if (run !== undefined) return commandOf(run);
  return source.message ?? failure?.message ?? id;
}

/** How long a build took, or has taken so far. */
export function tookText({ startedAt, finishedAt, state }: BuildView, nowMs: number): string {
  if (startedAt === null) return '';
  const untilMs = finishedAt !== null ? Date.parse(finishedAt) : state === 'running' ? nowMs : undefined;
  return untilMs === undefined ? '' : duration(Math.max(0, untilMs - Date.parse(startedAt)));
}
