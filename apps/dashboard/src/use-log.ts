import { useEffect, useRef, useState } from 'react';
import { LogModel } from './log-model.ts';
import { useProject } from './use-project.ts';

const PAUSE_MS = 16;
const LONG_LINES = 20_000;
const LONG_PAUSE_MS = 300;

export interface LiveLog {
  readonly model: LogModel;
  /** counts what came: the model itself stays the same */
  readonly version: number;
  readonly ended: boolean;
  readonly error: unknown;
}

/** A build's log as it comes; drawn now and then, however much comes. */
export function useLog(id: string): LiveLog {
  const { farm } = useProject();
  const model = useRef(new LogModel());
  const [state, setState] = useState<Omit<LiveLog, 'model'>>({ version: 0, ended: false, error: undefined });
  useEffect(() => {
    const leaving = new AbortController();
    const log = (model.current = new LogModel());
    let frame = 0;
    const draw = (): void => {
      // Each drawing of a long log costs: it is told of less often.
      const pauseMs = log.lines.length > LONG_LINES ? LONG_PAUSE_MS : PAUSE_MS;
      frame ||= window.setTimeout(() => {
        frame = 0;
        setState((before) => ({ ...before, version: before.version + 1 }));
      }, pauseMs);
    };
    const read = async (): Promise<void> => {
      let error: unknown;
      try {
        for await (const event of farm.events(id, { signal: leaving.signal })) {
          log.add(event);
          draw();
        }
      } catch (thrown) {
        error = thrown;
      }
      if (!leaving.signal.aborted)
        setState(({ version }) => ({ version: version + 1, ended: error === undefined, error }));
    };
    void read();
    return () => {
      leaving.abort();
      clearTimeout(frame);
    };
  }, [id, farm]);
  return { model: model.current, ...state };
}
