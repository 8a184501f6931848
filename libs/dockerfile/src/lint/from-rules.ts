import { parseReference, type Platform } from '#oci';
import { type Expanded, expandWord } from '../expand/expand-word.ts';
import { goQuote } from '../go-format.ts';
import type { Environment } from '../lower/environment.ts';
import { globalScope } from '../lower/global-scope.ts';
import type { LowerOptions } from '../lower/lower-options.ts';
import { stagePlatform } from '../lower/stage-platform.ts';
import type { Dockerfile, From } from '../parse/ast.ts';
import { didYouMean } from '../parse/suggest.ts';
import type { Findings } from './findings.ts';

/** What bases and platforms of the stages show, once build arguments are known. */
export function lintFroms(file: Dockerfile, options: LowerOptions, scope: Environment, findings: Findings): void {
  lintDefaults(file, options, findings);
  const declared = file.globalArgs.flatMap(({ args }) => args.map(({ name }) => name));
  const known = [...new Set([...scope.names(), ...declared])];
  for (const { from } of file.stages) {
    const base = attempt(() => expandWord(from.base, scope, { escape: file.escape }));
    const platform = attempt(() => expandWord(from.platform ?? '', scope, { escape: file.escape }));
    for (const name of [...(base?.unmatched ?? []), ...(platform?.unmatched ?? [])]) {
      if (known.includes(name)) continue;
      findings.report('UndefinedArgInFrom', `FROM argument '${name}' is not declared${didYouMean(name, known)}`, from);
    }
    if (from.platform === undefined || platform === undefined) continue;
    lintRedundant(from, platform, scope, findings);
    lintConstant(
      from,
      platform,
      attempt(() => stagePlatform(from, file, scope, options)),
      findings,
    );
  }
}

function lintRedundant(from: From, { value, matched, unmatched }: Expanded, scope: Environment, to: Findings): void {
  const alone = matched.size === 1 && matched.has('TARGETPLATFORM') && unmatched.size === 0;
  if (!alone || value !== scope.get('TARGETPLATFORM')) return;
  const message = `Setting platform to predefined ${from.platform} in FROM is redundant as this is the default behavior`;
  to.report('RedundantTargetPlatform', message, from);
}

/** A stage that has the platform in its name means to be for that one. */
function lintConstant(
  from: From,
  { value, matched, unmatched }: Expanded,
  platform: Platform | undefined,
  to: Findings,
): void {
  if (matched.size > 0 || unmatched.size > 0 || platform === undefined) return;
  const name = from.name ?? '';
  if (name.includes(platform.os) || name.includes(platform.architecture)) return;
  to.report(
    'FromPlatformFlagConstDisallowed',
    `FROM --platform flag should not use constant value ${goQuote(value)}`,
    from,
  );
}

/** As if nobody gave build arguments. */
function lintDefaults(file: Dockerfile, options: LowerOptions, findings: Findings): void {
  const scope = attempt(() => globalScope(file, { ...options, buildArgs: {} }));
  if (scope === undefined) return;
  for (const { from } of file.stages) {
    const base = attempt(() => expandWord(from.base, scope, { escape: file.escape }));
    if (base === undefined) return;
    if (attempt(() => parseReference(base.value)) !== undefined) continue;
    const message = `Default value for ARG ${from.base} results in empty or invalid base image name`;
    findings.report('InvalidDefaultArgInFrom', message, from);
  }
}

/** What cannot be worked out fails the build by itself, with a better message. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
