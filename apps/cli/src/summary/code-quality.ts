import { createHash } from 'node:crypto';
import { cleanLine } from '../progress/log-text.ts';
import type { Finding } from './build-story.ts';

/**
 * GitLab's report of code quality as JSON: errors, and what else has a place.
 * @see https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
 */
export function codeQuality(findings: readonly Finding[], dockerfile: string): string {
  const placed = findings.filter(({ level, place }) => level === 'error' || place !== undefined);
  const issues = placed.map(({ level, rule, message, place }) => {
    const description = cleanLine(message.replaceAll(/\s+/g, ' '), false);
    const { file, line } = place ?? { file: dockerfile, line: 1 };
    return {
      description,
      check_name: rule,
      // The line is not in it: what moves down is still the same finding.
      fingerprint: createHash('sha256')
        .update(JSON.stringify([rule, file, description]))
        .digest('hex'),
      severity: level === 'error' ? 'critical' : 'minor',
      location: { path: file, lines: { begin: line } },
    };
  });
  // Two findings of one fingerprint would be one to GitLab, whichever line is right.
  const once = new Map(issues.map((issue) => [issue.fingerprint, issue]));
  return `${JSON.stringify([...once.values()], null, 2)}\n`;
}
