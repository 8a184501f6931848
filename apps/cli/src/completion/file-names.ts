import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { planAsked } from '../bake/read-files.ts';
import { ownSurroundings } from '../build/surroundings.ts';
import type { Candidate } from './candidates.ts';

const MAX_DOCKERFILE_BYTES = 4 * 1024 * 1024;
const Listed = z.array(z.object({ name: z.string(), description: z.string().optional() }));

/** What can be baked, of the files that the line names, or those that lie here. @throws KilnError INVALID_ARGUMENT */
export async function bakeTargets(words: readonly string[], signal: AbortSignal): Promise<readonly Candidate[]> {
  const files = valuesOf(words, '-f', '--file');
  // What is typed here is no bake file yet.
  if (files.includes('-')) return [];
  const asked = { files, variables: valuesOf(words, '--var'), targets: [], overrides: [] };
  const { text } = await planAsked({ ...asked, list: 'type=targets,format=json' }, ownSurroundings(), signal);
  return Listed.parse(JSON.parse(text)).map(({ name, description }) => ({ value: name, description }));
}

/** The names of a Dockerfile's stages, as far as one look at its lines tells. */
export function stages(words: readonly string[], path: string | undefined): readonly Candidate[] {
  const [file = join(path ?? '.', 'Dockerfile')] = valuesOf(words, '-f', '--file');
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFile() !== true || found.size > MAX_DOCKERFILE_BYTES) return [];
  const lines = readFileSync(file, 'utf8').matchAll(/^[ \t]*from[ \t].*[ \t]as[ \t]+([a-z][\w.-]*)[ \t\r]*$/gim);
  return [...new Set([...lines].flatMap(([, name]) => name ?? []))].map((value) => ({ value }));
}

/** What a flag has been given before the cursor, each time. */
function valuesOf(words: readonly string[], ...flags: readonly string[]): readonly string[] {
  return words.slice(0, -1).flatMap((word, at) => {
    const flag = flags.find((each) => word === each || word.startsWith(`${each}=`));
    if (flag === undefined) return [];
    const value = word === flag ? words.slice(0, -1)[at + 1] : word.slice(flag.length + 1);
    return value === undefined ? [] : [value];
  });
}
