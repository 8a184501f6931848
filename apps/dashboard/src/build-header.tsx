import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import type { BuildView, MeView } from '#protocol';
import { buildName, commandOf } from './build-name.ts';
import { tookText } from './builds-page.tsx';
import { farm } from './farm.ts';
import { bytes, duration, short } from './format.ts';
import { Copy, Fact, Failure, State, StepsBar, Time } from './parts.tsx';
import { useProject } from './use-project.ts';
import { WorkThere } from './workplace.tsx';

export const hasEnded = ({ state }: BuildView): boolean => state !== 'queued' && state !== 'running';

/** Of another project, what was built and what may be done stays there. */
export const isOwn = ({ project }: BuildView, me: MeView): boolean => project === me.project;

/** What a build is of, how it went, and what can be done with it. */
export function BuildHeader({
  build,
  nowMs,
  me,
}: {
  readonly build: BuildView;
  readonly nowMs: number;
  readonly me: MeView;
}) {
  const { request, result } = build;
  const { link } = useProject();
  const { branch, commit, author, message, url } = request.source;
  const exitCode = exitCodeOf(build);
  // What is pushed or run has neither steps nor files.
  const isBuild = request.call !== 'push' && request.call !== 'run';
  return (
    <header className="build-header">
      <div className="heading">
        <h1>{buildName(request)}</h1>
        <State of={build.state} />
        <Actions build={build} me={me} />
      </div>
      {message !== undefined && <p>{message}</p>}
      <dl className="facts">
        <Fact name="Build" value={<Copy text={build.id} label="the build’s id" />} />
        {!isOwn(build, me) && <Fact name="Project" value={build.project} />}
        <Fact name="Branch" value={branch ?? `scope ${build.scope}`} />
        {commit !== undefined && (
          <Fact name="Commit" value={<Copy text={commit} shown={commit.slice(0, 10)} label="the commit" />} />
        )}
        {author !== undefined && <Fact name="Author" value={author} />}
        <Fact name="Begun" value={<Time at={build.createdAt} />} />
        <Fact name="Took" value={tookText(build, nowMs) || '–'} />
        {isBuild && result !== null && <Fact name="Saved" value={duration(result.savedMs)} />}
        {isBuild && result !== null && (
          <Fact
            name="Steps"
            value={
              <>
                {result.steps.hit} of {result.steps.total} from the cache <StepsBar steps={result.steps} />
              </>
            }
          />
        )}
        {result?.digest !== undefined && (
          <Fact
            name="Image"
            value={
              <>
                <Copy text={result.digest} shown={`sha256:${short(result.digest)}…`} label="the digest" />{' '}
                {isOwn(build, me) && request.tags.length > 0 && <Link href={`/images/${result.digest}`}>layers</Link>}
              </>
            }
          />
        )}
        {request.run !== undefined && <Fact name="Command" value={<code>{commandOf(request.run)}</code>} />}
        {request.run !== undefined && exitCode !== undefined && <Fact name="Exit code" value={exitCode} />}
        {isBuild && <Fact name="Context" value={contextOf(build)} />}
        {request.call !== 'run' && result !== null && <Fact name="Pushed" value={bytes(result.bytes.pushed)} />}
        {build.retryOf !== undefined && (
          <Fact name="Repeats" value={<Link href={link(`/b/${build.retryOf}`)}>{build.retryOf}</Link>} />
        )}
        {url !== undefined && (
          <Fact
            name="Job"
            value={
              <a href={url} rel="noreferrer">
                {new URL(url).host}
              </a>
            }
          />
        )}
      </dl>
    </header>
  );
}

const contextOf = ({ context: { files, sizeBytes } }: BuildView): string =>
  `${files.toLocaleString()} ${files === 1 ? 'file' : 'files'}, ${bytes(sizeBytes)}`;

/** Of a command that has ended by itself. */
function exitCodeOf({ state, failure }: BuildView): number | undefined {
  return state === 'succeeded' ? 0 : failure?.exitCode;
}

function Actions({ build, me }: { readonly build: BuildView; readonly me: MeView }) {
  const queries = useQueryClient();
  const [, go] = useLocation();
  const cancel = useMutation({
    mutationFn: () => farm.cancel(build.id),
    onSettled: () => queries.invalidateQueries({ queryKey: ['build', build.id] }),
  });
  const retry = useMutation({
    mutationFn: () => farm.retry(build.id, {}, { idempotencyKey: crypto.randomUUID() }),
    onSuccess: ({ id }) => go(`/b/${id}`),
  });
  if (!isOwn(build, me)) return <WorkThere me={me} project={build.project} to={`/b/${build.id}`} />;
  if (!me.permissions.includes('build')) return null;
  const { mutate, isPending, error, word } = hasEnded(build)
    ? { ...retry, word: 'Retry' }
    : { ...cancel, word: 'Cancel' };
  return (
    <span className="actions">
      <button type="button" onClick={() => mutate()} disabled={isPending}>
        {word}
      </button>
      {error !== null && <Failure error={error} />}
    </span>
  );
}
