import { parseGoDuration } from '../go-duration.ts';
import { invalid } from '../invalid.ts';
import { splitBlank } from '../lex/space.ts';
import type { Healthcheck, HealthcheckInstruction } from './ast.ts';
import { parseFlags } from './flags.ts';
import { parseCommandForm } from './parse-run.ts';
import type { ParseRequest } from './request.ts';

const TRY = 'write HEALTHCHECK CMD command, or HEALTHCHECK NONE';
const MIN_INTERVAL_NS = 1e6;
const MAX_RETRIES = 2 ** 31 - 1;
const intervals = [
  ['interval', 'Interval'],
  ['timeout', 'Timeout'],
  ['start-period', 'StartPeriod'],
  ['start-interval', 'StartInterval'],
] as const;

/** @throws KilnError DOCKERFILE_INVALID */
export function parseHealthcheck({ keyword, flags, rest, located }: ParseRequest): HealthcheckInstruction {
  const [type = '', tail = ''] = splitBlank(rest, 2);
  if (type === '') throw invalid('HEALTHCHECK requires at least one argument', { hint: TRY });
  return { ...located, kind: 'healthcheck', healthcheck: healthcheckOf(type, tail, { keyword, flags }) };
}

function healthcheckOf(
  type: string,
  tail: string,
  { keyword, flags }: Pick<ParseRequest, 'keyword' | 'flags'>,
): Healthcheck {
  // With NONE they mean nothing, and may stand there.
  const parsed = parseFlags(keyword, flags, { values: [...intervals.map(([flag]) => flag), 'retries'] });
  if (type.toUpperCase() === 'NONE') {
    if (tail !== '') throw invalid('HEALTHCHECK NONE takes no arguments', { hint: 'write HEALTHCHECK NONE alone' });
    return { Test: ['NONE'] };
  }
  if (type.toUpperCase() !== 'CMD') {
    throw invalid(`Unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`, { hint: TRY });
  }
  const command = parseCommandForm(tail);
  if (tail === '' || (command.form === 'exec' && command.args.length === 0)) {
    throw invalid('Missing command after HEALTHCHECK CMD', { hint: TRY });
  }
  const healthcheck: Healthcheck = {
    Test: command.form === 'exec' ? ['CMD', ...command.args] : ['CMD-SHELL', command.text],
  };
  for (const [flag, member] of intervals) {
    const text = parsed.get(flag) ?? '';
    const ns = text === '' ? 0 : parseGoDuration(text);
    if (ns !== 0 && ns < MIN_INTERVAL_NS)
      throw invalid(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`, {
        hint: `write it with a unit, such as --${flag}=30s`,
      });
    if (ns !== 0) healthcheck[member] = ns;
  }
  const retries = parsed.get('retries') ?? '';
  if (retries !== '') {
    if (!/^[+-]?\d+$/.test(retries) || Math.abs(Number(retries)) > MAX_RETRIES)
      throw invalid(`--retries is not a number: ${JSON.stringify(retries)}`, { hint: 'such as --retries=3' });
    if (Number(retries) < 0)
      throw invalid(`--retries cannot be negative (${retries})`, { hint: 'such as --retries=3' });
    if (Number(retries) > 0) healthcheck.Retries = Number(retries);
  }
  return healthcheck;
}
