import { invalid } from '../invalid.ts';

/** What a `check` directive asks for: `skip=all`, `skip=RuleA,RuleB`, `error=true`, with `;` between. */
export interface LintOptions {
  readonly skip: 'all' | ReadonlySet<string>;
  /** findings fail the build */
  readonly error: boolean;
}

export const defaultLint: LintOptions = { skip: new Set(), error: false };

/** @throws KilnError DOCKERFILE_INVALID */
export function parseLintOptions(text: string): LintOptions {
  let { skip, error } = defaultLint;
  for (const part of text.trim().split(';')) {
    if (part === '') continue;
    const [name = '', value] = part.split(/=(.*)/s).map((side) => side.trim());
    if (value === undefined) throw invalid(`invalid check option ${JSON.stringify(part)}`);
    switch (name.toLowerCase()) {
      case 'skip':
        skip = value.toLowerCase() === 'all' ? 'all' : new Set(value.split(',').map((rule) => rule.trim()));
        break;
      case 'error':
        error = parseBoolean(value);
        break;
      case 'experimental':
        // Turns on further rules; there are none here.
        break;
      default:
        throw invalid(`invalid check option ${JSON.stringify(name)}`, {
          hint: 'known are skip, error and experimental',
        });
    }
  }
  return { skip, error };
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

export function isSkipped(rule: string, ...options: readonly LintOptions[]): boolean {
  return options.some(({ skip }) => skip === 'all' || skip.has(rule));
}

function parseBoolean(text: string): boolean {
  if (['1', 't', 'true'].includes(text.toLowerCase())) return true;
  if (['0', 'f', 'false'].includes(text.toLowerCase())) return false;
  throw invalid(`invalid check option: error=${text}`, { hint: 'write error=true or error=false' });
}
