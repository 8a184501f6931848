import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ownSurroundings } from '../build/surroundings.ts';
import { planAsked } from './read-files.ts';

describe('the bake files of a command line', () => {
  it('are those of the working directory, with cwd:// before their names or without', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'kiln-bake-'));
    try {
      await writeFile(join(cwd, 'own.hcl'), 'target "default" {}\n');
      const of = async (file: string): Promise<readonly string[]> => {
        const asked = { files: [file], variables: [], targets: [], overrides: [], list: undefined };
        return (await planAsked(asked, { ...ownSurroundings(), cwd })).targets.map(({ name }) => name);
      };
      expect(await of('own.hcl')).toEqual(['default']);
      expect(await of('cwd://own.hcl')).toEqual(['default']);
      await expect(of('cwd://none.hcl')).rejects.toThrow('none.hcl cannot be read');
    } finally {
      await rm(cwd, { recursive: true });
    }
  });
});
