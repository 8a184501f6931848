import { useMemo, useState } from 'react';
import { partsOf, type StepView } from '#protocol';
import { LogLines } from './log-lines.tsx';
import { LogSearch, useFound } from './log-search.tsx';
import { Failure } from './parts.tsx';
import { useQueryWord } from './query-state.ts';
import { keyOf } from './step-key.ts';
import { useLog } from './use-log.ts';
import { useProject } from './use-project.ts';

/** A build's log, or that of the step in the URL. */
export default function LogView({ id, steps }: { readonly id: string; readonly steps: readonly StepView[] }) {
  const { link } = useProject();
  const { model, version, ended, error } = useLog(id);
  const [chosen, choose] = useQueryWord('step');
  const [wanted, setWanted] = useQueryWord('find');
  const [lineWord, setLineWord] = useQueryWord('line');
  const [times, setTimes] = useState(false);
  const [follow, setFollow] = useState(lineWord === '');
  // Who goes to a line stays there; who follows is at the end.
  const setLine = (line: string): void => {
    setFollow(false);
    setLineWord(line);
  };
  const goOn = (on: boolean): void => {
    setFollow(on);
    if (on) setLineWord('');
  };
  const step = steps.find((each) => keyOf(each) === chosen);
  const lines = useMemo(
    () => (step === undefined ? model.lines : model.lines.filter(({ vertex }) => vertex === step.vertex)),
    [model, version, step],
  );
  const { found, more } = useFound({ id, lines, wanted, version, ended, step: chosen === '' ? undefined : chosen });
  const names = useMemo(() => new Map(steps.map(({ vertex, name }) => [vertex, partsOf(name).place])), [steps]);
  return (
    <section aria-label="Log" className="log">
      <div className="heading">
        <h2>Log {step !== undefined && <span className="quiet">of {partsOf(step.name).text}</span>}</h2>
        <div className="filters">
          {step !== undefined && (
            <button type="button" onClick={() => choose('')}>
              All steps
            </button>
          )}
          <LogSearch
            wanted={wanted}
            setWanted={setWanted}
            found={found}
            more={more}
            line={Number(lineWord)}
            go={(at) => setLine(String(at + 1))}
          />
          <label>
            <input type="checkbox" checked={times} onChange={(event) => setTimes(event.target.checked)} /> Times
          </label>
          <label>
            <input type="checkbox" checked={follow} onChange={(event) => goOn(event.target.checked)} /> Follow
          </label>
          <a className="button" href={link(`/v1/builds/${encodeURIComponent(id)}/logs`)} download={`${id}.log`}>
            Download
          </a>
        </div>
      </div>
      {error !== undefined && <Failure error={error} />}
      {model.dropped > 0 && <p className="quiet">The first {model.dropped} lines are in the download alone.</p>}
      {lines.length === 0 ? (
        <p className="quiet">{silence(ended, step === undefined ? steps : [step])}</p>
      ) : (
        <LogLines {...{ lines, names, times, follow, setFollow, wanted, setLine }} line={Number(lineWord)} />
      )}
    </section>
  );
}

/** Why there is no line. */
function silence(ended: boolean, steps: readonly StepView[]): string {
  if (!ended) return 'Nothing was said yet.';
  return steps.some(({ state }) => state === 'hit')
    ? 'Nothing was said: steps from the cache are silent.'
    : 'Nothing was said.';
}
