import { checkDockerfile, instructionAt, listTargets, type LowerOptions, outlineDockerfile, ruleOf } from '#dockerfile';
import type { SourceResolver } from '#graph';
import type { BuildReport, BuildRequest, ReportOf } from '#protocol';
import { unreachable } from '#std';
import type { DockerfileSource } from './dockerfile-source.ts';

export interface Reporting {
  readonly file: DockerfileSource;
  readonly options: LowerOptions;
  readonly resolver: SourceResolver;
  /** something that is no part of the report */
  readonly note: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * What a Dockerfile says of itself: it is parsed and lowered, and nothing runs.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED where there is nothing to report; a check reports them
 */
export async function reportOf(
  call: Exclude<BuildRequest['call'], 'build' | 'push' | 'run'>,
  reporting: Reporting,
): Promise<BuildReport> {
  const { file, options, resolver, signal } = reporting;
  switch (call) {
    case 'check':
      return check(reporting);
    case 'outline': {
      const { name, description, args, secrets, ssh } = await outlineDockerfile(file.text, options, resolver, signal);
      const named = args.map((each) => compact({ ...each }));
      const target = compact({ name, description });
      return { call, file, ...target, args: named, secrets: [...secrets], ssh: [...ssh] };
    }
    case 'targets':
      return { call, file, targets: listTargets(file.text).map((target) => compact({ ...target })) };
    default:
      return unreachable(call);
  }
}

async function check({ file, options, resolver, note, signal }: Reporting): Promise<ReportOf<'check'>> {
  const { findings, notes, error } = await checkDockerfile(file.text, options, resolver, signal);
  for (const message of notes) note(message);
  const { message, hint, line } = error ?? {};
  const endLine = line === undefined ? undefined : instructionAt(file.text, line)?.endLine;
  return {
    call: 'check',
    file,
    findings: findings.map(({ rule, ...found }) => ({ rule, ...found, ...described(ruleOf(rule)) })),
    ...(message === undefined ? {} : { error: { message, ...compact({ hint, line, endLine }) } }),
  };
}

function described({ description, url }: ReturnType<typeof ruleOf>): { description: string; url?: string } {
  return { description, ...(url === undefined ? {} : { url }) };
}

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the members that are undefined. */
function compact<T extends Readonly<Record<string, unknown>>>(value: T): Compact<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Compact<T>;
}
