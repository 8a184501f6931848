import { invalid } from '../invalid.ts';
import { type RuleName, ruleOf } from './rules.ts';

/** What a `check` directive asks for: `skip=all`, `skip=RuleA,RuleB`, `error=true`, with `;` between. */
export interface LintOptions {
  readonly skip: 'all' | ReadonlySet<string>;
  /** which of the experimental rules are looked at */
  readonly experimental: 'all' | ReadonlySet<string>;
  /** findings fail the build */
  readonly error: boolean;
}

export const defaultLint: LintOptions = { skip: new Set(), experimental: new Set(), error: false };

/** @throws KilnError DOCKERFILE_INVALID */
export function parseLintOptions(text: string): LintOptions {
  let { skip, experimental, error } = defaultLint;
  for (const part of text.trim().split(';')) {
    if (part === '') continue;
    const [name = '', value] = part.split(/=(.*)/s).map((side) => side.trim());
    if (value === undefined) {
      throw invalid(`invalid check option ${JSON.stringify(part)}`, {
        hint: 'write skip=RULE,RULE, error=true or experimental=RULE, with ; between them',
      });
    }
    switch (name.toLowerCase()) {
      case 'skip':
        skip = parseNames(value);
        break;
      case 'error':
        error = parseBoolean(value);
        break;
      case 'experimental':
        experimental = parseNames(value);
        break;
      default:
        throw invalid(`invalid check option ${JSON.stringify(name)}`, {
          hint: 'known are skip, error and experimental',
        });
    }
  }
  return { skip, experimental, error };
}

/** Of the comments above an instruction, the first that is `check=…`. */
export function lintOfComments(comments: readonly string[]): LintOptions {
  for (const comment of comments) {
    const match = /^check\s*=\s*(\S+)/i.exec(comment);
    if (match?.[1] === undefined) continue;
    try {
      return parseLintOptions(match[1]);
    } catch {
      // It is a comment after all.
      return defaultLint;
    }
  }
  return defaultLint;
}

/** Whether a rule counts, by the file's options and those above the instruction. `skip=all` is for the settled rules. */
export function isActive(rule: RuleName, ...options: readonly LintOptions[]): boolean {
  if (options.some(({ skip }) => skip !== 'all' && skip.has(rule))) return false;
  return ruleOf(rule).experimental === true
    ? options.some(({ experimental }) => experimental === 'all' || experimental.has(rule))
    : !options.some(({ skip }) => skip === 'all');
}

function parseNames(value: string): 'all' | ReadonlySet<string> {
  return value.toLowerCase() === 'all' ? 'all' : new Set(value.split(',').map((rule) => rule.trim()));
}

function parseBoolean(text: string): boolean {
  if (['1', 't', 'true'].includes(text.toLowerCase())) return true;
  if (['0', 'f', 'false'].includes(text.toLowerCase())) return false;
  throw invalid(`invalid check option: error=${text}`, { hint: 'write error=true or error=false' });
}
