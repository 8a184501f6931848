import { type ReactNode, useEffect, useState } from 'react';
import type { BuildState, StepCounts, StepState } from '#protocol';
import { isKilnError, messageOf } from '#std';
import { ago } from './format.ts';

const signs: Readonly<Record<BuildState | StepState, readonly [string, string]>> = {
  queued: ['◌', 'queued'],
  pending: ['◌', 'waiting'],
  running: ['◐', 'running'],
  succeeded: ['✓', 'succeeded'],
  failed: ['✗', 'failed'],
  cancelled: ['⊘', 'cancelled'],
  hit: ['⚡', 'hit'],
  run: ['▶', 'run'],
  joined: ['⇉', 'joined'],
  done: ['✓', 'done'],
};

/** A state, by sign and word. */
export function State({ of }: { readonly of: BuildState | StepState }) {
  const [sign, word] = signs[of];
  return (
    <span className={`state ${of}`}>
      <span aria-hidden="true">{sign}</span> {word}
    </span>
  );
}

/** In the reader's zone; the exact time on hover. */
export function Time({ at }: { readonly at: string }) {
  const nowMs = useNow(15_000);
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'long' })}>
      {ago(date.getTime(), nowMs)}
    </time>
  );
}

/** The time, told anew every so often while the page is seen. */
export function useNow(everyMs: number, active = true): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => {
      if (!document.hidden) setNowMs(Date.now());
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, active]);
  return nowMs;
}

/** How many steps were hit, joined and run, as a thin bar; the words say the same. */
export function StepsBar({ steps: { total, hit, run, joined } }: { readonly steps: StepCounts }) {
  const words = `${hit} hit, ${joined} joined, ${run} run of ${total}`;
  return (
    <span className="steps-bar" role="img" aria-label={words} title={words}>
      {[
        ['hit', hit],
        ['joined', joined],
        ['run', run],
      ].map(([state, count]) => (
        <span
          key={state}
          className={`fill ${state}`}
          style={{ width: `${(100 * Number(count)) / Math.max(total, 1)}%` }}
        />
      ))}
    </span>
  );
}

interface FailureProps {
  readonly error: unknown;
  readonly retry?: (() => void) | undefined;
  /** where to go from what is not there */
  readonly instead?: ReactNode;
}

/** What went wrong, and what to do. */
export function Failure({ error, retry, instead }: FailureProps) {
  // What is not there is not there the next time either.
  const gone = isKilnError(error, 'NOT_FOUND');
  return (
    <div className="notice bad" role="alert">
      <p>{messageOf(error)}</p>
      {isKilnError(error) && error.hint !== undefined && <p className="quiet">{error.hint}</p>}
      {gone && instead}
      {!gone && retry !== undefined && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A text that is copied by a click. */
export function Copy({
  text,
  shown = text,
  label,
}: {
  readonly text: string;
  readonly shown?: string;
  readonly label: string;
}) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 1_500);
    } catch {
      // Without the permission the text is there to be marked.
    }
  };
  return (
    <span className="copy">
      <code title={text}>{shown}</code>
      <button type="button" onClick={() => void copy()} aria-label={`Copy ${label}`}>
        {copied ? 'copied' : 'copy'}
      </button>
    </span>
  );
}

export function Loading() {
  return (
    <p className="quiet loading" role="status">
      Loading …
    </p>
  );
}

/** One thing that is known, under its name; of a list of such (`dl`). */
export function Fact({ name, value }: { readonly name: string; readonly value: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
