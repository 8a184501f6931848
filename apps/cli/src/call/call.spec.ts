import { describe, expect, it } from 'vitest';
import type { BuildReport } from '#protocol';
import { parseCall } from './parse-call.ts';
import { printReport } from './print-report.ts';
import { sourceLines } from './source-lines.ts';

describe('parseCall', () => {
  it.each([
    ['build', undefined],
    ['check', { method: 'check', format: 'text', ignoreStatus: false }],
    ['lint', { method: 'check', format: 'text', ignoreStatus: false }],
    ['check,format=json,ignorestatus=true', { method: 'check', format: 'json', ignoreStatus: true }],
    ['format=json,outline', { method: 'outline', format: 'json', ignoreStatus: false }],
    ['targets', { method: 'targets', format: 'text', ignoreStatus: false }],
  ])('%s', (value, expected) => expect(parseCall(value)).toEqual(expected));

  it.each([
    'subrequests.describe',
    'check,outline',
    'check,format=xml',
    'check,ignorestatus=maybe',
    'check,a=b',
    'format=json',
    '',
  ])('refuses %j', (value) => expect(() => parseCall(value)).toThrow('--call'));
});

describe('sourceLines', () => {
  const file = { name: 'Dockerfile', text: Array.from({ length: 9 }, (_, n) => `L${n + 1}`).join('\n') };
  const shown = (line: number, endLine = line): readonly string[] =>
    sourceLines({ file, line, endLine })
      .split('\n')
      .slice(2, -2)
      .map((row) => row.trim().replaceAll(/\s+/g, ' '));

  // As BuildKit prints them.
  it('shows neighbours on both sides, fewer at an end of the file', () => {
    expect(shown(5)).toEqual(['3 | L3', '4 | L4', '5 | >>> L5', '6 | L6', '7 | L7']);
    expect(shown(1)).toEqual(['1 | >>> L1', '2 | L2', '3 | L3']);
    expect(shown(9)).toEqual(['7 | L7', '8 | L8', '9 | >>> L9']);
    expect(shown(4, 6)).toEqual(['3 | L3', '4 | >>> L4', '5 | >>> L5', '6 | >>> L6', '7 | L7']);
    expect(sourceLines({ file, line: 10, endLine: 10 })).toBe('');
  });
});

describe('printReport', () => {
  const print = (report: BuildReport, call: string): { code: number; out: string; err: string } => {
    const parsed = parseCall(call);
    if (parsed === undefined) throw new Error('no call');
    let [out, err] = ['', ''];
    const code = printReport(report, parsed, { write: (text) => (out += text), writeError: (text) => (err += text) });
    return { code, out, err };
  };
  const file = { name: 'Dockerfile', text: 'FROM a\nCMD b\n' };
  const finding = { rule: 'R', description: 'd', message: 'm', line: 2, endLine: 2 };

  it('ends with 1 for findings, unless that is not asked for', () => {
    const report: BuildReport = { call: 'check', file, findings: [finding] };
    expect(print(report, 'check')).toMatchObject({ code: 1, err: '' });
    expect(print(report, 'check').out).toMatch(
      /^Check complete, 1 warning has been found!\n\nWARNING: R\nm\nDockerfile:2\n-{20}\n/,
    );
    expect(print(report, 'check,ignorestatus=true').code).toBe(0);
    expect(print({ ...report, findings: [] }, 'check')).toEqual({
      code: 0,
      out: 'Check complete, no warnings found.\n',
      err: '',
    });
  });

  it('ends with 1 for an error, whatever is asked for', () => {
    const report: BuildReport = {
      call: 'check',
      file,
      findings: [],
      error: { message: 'no', hint: 'mend it', line: 2 },
    };
    const { code, out, err } = print(report, 'check,ignorestatus=true');
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^ERROR: no\nDockerfile:2\n[^]*>>> CMD b[^]*\nmend it\n$/);
    expect(JSON.parse(print(report, 'check,format=json').out)).toMatchObject({
      warnings: [],
      buildError: { message: 'no', location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] } },
    });
  });

  it('shows what a target asks the client for', () => {
    const place = { line: 1, endLine: 1 };
    const report: BuildReport = {
      ...{ call: 'outline', file, args: [] },
      secrets: [{ name: 'token', required: true, ...place }],
      ssh: [{ name: 'default', required: false, ...place }],
    };
    expect(print(report, 'outline').out).toBe('SECRET   REQUIRED\ntoken    true\n\nSSH       REQUIRED\ndefault\n\n');
    expect(JSON.parse(print(report, 'outline,format=json').out)).toMatchObject({
      secrets: [{ name: 'token', required: true }],
      ssh: [{ name: 'default' }],
    });
  });

  it('lets nothing of a Dockerfile move the cursor', () => {
    const text = 'FROM a\nRUN \u001b[2J\n';
    const report: BuildReport = {
      call: 'check',
      file: { name: 'D', text },
      findings: [{ ...finding, message: '\u001b[2Jm' }],
    };
    expect(print(report, 'check').out).not.toContain('\u001b');
  });
});
