import type { BuildFailure } from '#protocol';

/** How a daemon says that a build failed. @param text the instruction, where one did */
export function failureLine(
  { message, hint, exitCode }: BuildFailure,
  text: string | undefined,
): { readonly message: string; readonly code?: number } {
  const command = text === undefined || exitCode === undefined ? undefined : commandOf(text);
  if (command !== undefined && exitCode !== undefined)
    return { message: `The command '${command}' returned a non-zero code: ${exitCode}`, code: exitCode };
  return {
    message: hint === undefined ? message : `${message}\n${hint}`,
    ...(exitCode === undefined ? {} : { code: exitCode }),
  };
}

/** What RUN runs: a list as it is, a line by the shell. */
function commandOf(text: string): string | undefined {
  const [, line] = /^run\s+(?:--\S+\s+)*(.*)$/is.exec(text) ?? [];
  if (line === undefined) return undefined;
  try {
    const list: unknown = JSON.parse(line);
    if (Array.isArray(list)) return list.join(' ');
  } catch {
    // a line for the shell
  }
  return `/bin/sh -c ${line}`;
}
