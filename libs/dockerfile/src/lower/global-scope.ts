import { formatPlatform } from '#oci';
import { expandWord } from '../expand/expand-word.ts';
import { onLine } from '../invalid.ts';
import type { Dockerfile } from '../parse/ast.ts';
import { Environment } from './environment.ts';
import type { LowerOptions } from './lower-options.ts';

/**
 * What FROM can use, and what a stage's `ARG NAME` without a value takes over: the arguments before the first FROM, and
 * the platform arguments that are always there.
 * https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
 */
export function globalScope(file: Dockerfile, options: LowerOptions): Environment {
  const { platform, buildPlatform, buildArgs } = options;
  const scope = new Environment();
  const automatic = {
    BUILDPLATFORM: formatPlatform(buildPlatform),
    BUILDOS: buildPlatform.os,
    BUILDOSVERSION: '',
    BUILDARCH: buildPlatform.architecture,
    BUILDVARIANT: buildPlatform.variant ?? '',
    TARGETPLATFORM: formatPlatform(platform),
    TARGETOS: platform.os,
    TARGETOSVERSION: '',
    TARGETARCH: platform.architecture,
    TARGETVARIANT: platform.variant ?? '',
    TARGETSTAGE: options.target || file.stages.at(-1)?.from.name || 'default',
  };
  for (const [name, value] of Object.entries(automatic)) scope.set(name, given(buildArgs, name) ?? value);
  for (const { args, line } of file.globalArgs) {
    onLine(line, () => {
      for (const { name, value } of args) {
        const set =
          given(buildArgs, name) ??
          (value === undefined ? undefined : expandWord(value, scope, { escape: file.escape }).value);
        if (set !== undefined) scope.set(name, set);
      }
    });
  }
  return scope;
}

/** A build argument's value; names such as `constructor` are names like all others. */
export function given(buildArgs: LowerOptions['buildArgs'], name: string): string | undefined {
  return Object.hasOwn(buildArgs, name) ? buildArgs[name] : undefined;
}
