import type { BuildReport } from '#protocol';
import type { Call } from './parse-call.ts';
import { reportJson } from './report-json.ts';
import { checkErrorText, reportText } from './report-text.ts';

export interface ReportStreams {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Prints a report, and gives the exit code: that of a check is 1 when anything was found. */
export function printReport(report: BuildReport, { format, ignoreStatus }: Call, to: ReportStreams): number {
  to.write(format === 'json' ? reportJson(report) : reportText(report));
  if (report.call !== 'check') return 0;
  if (report.error !== undefined) {
    to.writeError(`${format === 'text' && report.findings.length > 0 ? '\n' : ''}${checkErrorText(report)}`);
    return 1;
  }
  return report.findings.length > 0 && !ignoreStatus ? 1 : 0;
}
