import type { BuildReport, ReportOf } from '#protocol';
import { cleanLine } from '../progress/log-text.ts';
import { sourceLines } from './source-lines.ts';
import { table } from './table.ts';

const clean = (text: string | undefined): string => cleanLine((text ?? '').replaceAll(/\s*\n\s*/g, ' '), false);

/** A report as docker prints it. */
export function reportText(report: BuildReport): string {
  switch (report.call) {
    case 'check':
      return checkText(report);
    case 'outline':
      return outlineText(report);
    case 'targets':
      return targetsText(report);
  }
}

function checkText({ findings, error, file }: ReportOf<'check'>): string {
  if (findings.length === 0) return error === undefined ? 'Check complete, no warnings found.\n' : '';
  const count = findings.length === 1 ? '1 warning has been found!' : `${findings.length} warnings have been found!`;
  const parts = findings.map(({ rule, url, message, line, endLine }) => {
    const page = url === undefined ? '' : ` - ${url}`;
    return `\nWARNING: ${clean(rule)}${clean(page)}\n${clean(message)}\n${sourceLines({ file, line, endLine })}`;
  });
  return `Check complete, ${count}\n${parts.join('')}`;
}

/** Why the Dockerfile that was checked does not build. */
export function checkErrorText({ error, file }: ReportOf<'check'>): string {
  if (error === undefined) return '';
  const { message, hint, line, endLine = line } = error;
  const source = line === undefined || endLine === undefined ? '' : sourceLines({ file, line, endLine });
  return `ERROR: ${clean(message)}\n${source}${hint === undefined ? '' : `${clean(hint)}\n`}`;
}

function outlineText({ name, description, args, secrets, ssh }: ReportOf<'outline'>): string {
  const target = [
    ['TARGET:', clean(name ?? '(default)')],
    ...(description === undefined ? [] : [['DESCRIPTION:', clean(description)]]),
  ];
  const mounts = (title: string, found: typeof secrets): string =>
    tableBelow(
      [title, 'REQUIRED'],
      found.map((each) => [clean(each.name), each.required ? 'true' : '']),
    );
  return [
    name === undefined && description === undefined ? '' : `${table(target, 1)}\n`,
    tableBelow(
      ['BUILD ARG', 'VALUE', 'DESCRIPTION'],
      args.map((arg) => [clean(arg.name), clean(arg.value), clean(arg.description)]),
    ),
    mounts('SECRET', secrets),
    mounts('SSH', ssh),
  ].join('');
}

/** Nothing at all without rows. */
function tableBelow(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : `${table([head, ...rows], 3)}\n`;
}

function targetsText({ targets }: ReportOf<'targets'>): string {
  const rows = targets.map(({ name, default: built, description }) => {
    const shown = [...(name === undefined ? [] : [clean(name)]), ...(built ? ['(default)'] : [])].join(' ');
    return [shown, clean(description)];
  });
  return table([['TARGET', 'DESCRIPTION'], ...rows], 1);
}
