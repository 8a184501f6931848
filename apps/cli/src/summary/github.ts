import { cleanLine } from '../progress/log-text.ts';
import type { Finding } from './build-story.ts';

/** GitHub shows ten of each level for a step, and drops the rest. */
const MAX_OF_LEVEL = 10;

/**
 * Workflow commands that put findings beside their lines.
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function githubCommands(findings: readonly Finding[]): string {
  const kept = (['error', 'warning'] as const).flatMap((level) =>
    findings.filter((finding) => finding.level === level).slice(0, MAX_OF_LEVEL),
  );
  return kept.map((finding) => `${commandOf(finding)}\n`).join('');
}

function commandOf({ level, rule, message, place }: Finding): string {
  const at = place === undefined ? {} : { file: place.file, line: String(place.line), endLine: String(place.endLine) };
  const properties = Object.entries({ ...at, title: `kiln: ${rule}` }).map(
    ([name, value]) => `${name}=${inName(value)}`,
  );
  // Cleaned line by line: what a step wrote must not begin a command of its own.
  const lines = message.split('\n').map((line) => cleanLine(line, false));
  return `::${level} ${properties.join(',')}::${escaped(lines.join('\n'))}`;
}

const escaped = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

const inName = (text: string): string => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
