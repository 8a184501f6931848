import type { KilnClient } from '#client';
import type { BuildEvent, BuildExplanation, BuildView } from '#protocol';

/** A warning of the checks, or of the build itself. */
export type Warning = Extract<BuildEvent, { type: 'warning' }>;

/** All that a summary is made of. */
export interface BuildStory {
  readonly build: BuildView;
  readonly explanation: BuildExplanation;
  /** each once, as they came; at most {@link MAX_WARNINGS} */
  readonly warnings: readonly Warning[];
}

export const MAX_WARNINGS = 200;

/** Waits for the build's end, if it has not come yet. */
export async function readStory(client: KilnClient, id: string, signal?: AbortSignal): Promise<BuildStory> {
  const warnings = new Map<string, Warning>();
  for await (const { event } of client.events(id, { signal })) {
    // A build that was taken over tells its warnings again.
    if (event.type === 'warning' && warnings.size < MAX_WARNINGS)
      warnings.set(`${event.line ?? 0} ${event.message}`, event);
  }
  const [build, explanation] = await Promise.all([client.build(id, signal), client.explanation(id, signal)]);
  return { build, explanation, warnings: [...warnings.values()] };
}

/** Where a finding is shown: a file of the repository, and its lines. */
export interface Place {
  readonly file: string;
  /** from 1 */
  readonly line: number;
  readonly endLine: number;
}

export interface Finding {
  readonly level: 'error' | 'warning';
  /** the rule or the error's code */
  readonly rule: string;
  /** one line or several, as it came: not fit for a terminal */
  readonly message: string;
  readonly place: Place | undefined;
  /** a page on it */
  readonly url: string | undefined;
}

/**
 * What is wrong, the worst first.
 * @param dockerfile where the Dockerfile lies in the repository, for whoever shows findings beside its lines
 */
export function findingsOf({ build, warnings }: BuildStory, dockerfile: string): readonly Finding[] {
  const { failure } = build;
  const errors: Finding[] = [];
  if (failure !== null) {
    const { code, message, excerpt, hint, name } = failure;
    const step = name === undefined || message.includes(name) ? '' : `${name}: `;
    errors.push({
      level: 'error',
      rule: code,
      message: `${step}${message}${hint === undefined ? '' : `\n${hint}`}`,
      place: excerpt && { file: dockerfile, line: excerpt.line, endLine: excerpt.endLine ?? excerpt.line },
      url: build.url,
    });
  }
  return [
    ...errors,
    ...warnings.map(({ message, rule, line, excerpt, url }): Finding => {
      const at = excerpt?.line ?? line;
      return {
        level: 'warning',
        rule: rule ?? 'warning',
        message,
        place: at === undefined ? undefined : { file: dockerfile, line: at, endLine: excerpt?.endLine ?? at },
        url,
      };
    }),
  ];
}
