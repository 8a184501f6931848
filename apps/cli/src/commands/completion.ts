import type { Command } from 'commander';
import { type Candidate, type Candidates, candidates } from '../completion/candidates.ts';
import { type Shell, scripts } from '../completion/scripts.ts';
import { readConfig, readLocalConfig } from '../config.ts';
import { DEFAULT_CONTEXT, readContexts } from '../contexts/context-file.ts';
import { connect } from '../farm/connect.ts';
import { cleanLine } from '../progress/log-text.ts';

/** `kiln completion SHELL`: what the shell's own file has to say. */
export function completion(shell: Shell): void {
  process.stdout.write(scripts[shell]);
}

const BUILDS = 30;
/** Who waits at a prompt waits no longer. */
const PATIENCE_MS = 2_000;

/** `kiln __complete WORD…`: what may stand for the last word, a line each. A shell that completes hears of no failure. */
export async function complete(program: Command, words: readonly string[]): Promise<void> {
  const found = candidates(program, words);
  const current = words.at(-1) ?? '';
  const dynamic = await dynamicValues(found, words).catch(() => []);
  const added = dynamic.map((each) => ({ ...each, value: `${found.prefix}${each.value}` }));
  const values = [...found.values, ...added.filter(({ value }) => value.startsWith(current))];
  const { more } = found;
  const lines = [
    ...values.map(
      ({ value, description = '' }) => `${value}\t${cleanLine(description, false).replaceAll('\t', ' ')}\n`,
    ),
    ...(more === 'files' || more === 'directories' ? [`:${more}\n`] : []),
  ];
  process.stdout.write(lines.join(''));
}

async function dynamicValues({ more, given }: Candidates, words: readonly string[]): Promise<readonly Candidate[]> {
  switch (more) {
    case 'nothing':
    case 'files':
    case 'directories':
      return [];
    case 'targets': {
      const { bakeTargets } = await import('../completion/file-names.ts');
      return await bakeTargets(words, AbortSignal.timeout(PATIENCE_MS));
    }
    case 'stages': {
      const { stages } = await import('../completion/file-names.ts');
      return stages(words, given[0]);
    }
    case 'contexts': {
      const { contexts } = readContexts(readLocalConfig(process.env).contextFile);
      const others = Object.entries(contexts).map(([value, { url }]) => ({ value, description: url }));
      return [{ value: DEFAULT_CONTEXT, description: 'the farm of this machine' }, ...others];
    }
    case 'builds': {
      await using client = await connect(readConfig(process.env, valueOf(words, '--data')));
      const { builds } = await client.builds({ limit: BUILDS, signal: AbortSignal.timeout(PATIENCE_MS) });
      return builds.map(({ id, state, request: { reference, tags } }) => ({
        value: id,
        description: `${state} ${reference === undefined ? tags.join(' ') : `run ${reference}`}`,
      }));
    }
  }
}

/** What a flag has been given on the line. */
export function valueOf(words: readonly string[], flag: string): string | undefined {
  const joined = words.find((word) => word.startsWith(`${flag}=`));
  if (joined !== undefined) return joined.slice(flag.length + 1);
  const at = words.indexOf(flag);
  return at < 0 || at + 1 >= words.length - 1 ? undefined : words[at + 1];
}
