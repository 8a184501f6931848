import { randomBytes } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildExplanation, type OwnCause } from '#protocol';
import { Permission, ProjectStore, TokenStore } from '#storage';
import { z } from 'zod';
import { write } from './context.ts';
import type { Farm } from './farm.ts';

const Metadata = z.object({ 'kiln.build': z.object({ id: z.string() }) });

export interface Explained extends BuildExplanation {
  /** what the build said */
  readonly said: string;
  readonly code: number | null;
}

/** Builds in scopes of their own, each of which inherits from `main`: no edit is compared with another one. */
export class Workshop {
  readonly #farm: Farm;
  readonly #bases = new Map<string, Promise<string>>();
  readonly #scopesOf = new Map<string, string>();
  #scopes = 0;

  constructor(farm: Farm) {
    this.#farm = farm;
  }

  async token(scope: string, parent?: string, project = 'default'): Promise<string> {
    const ids = await new ProjectStore(this.#farm.db).ensure(project, scope, { parent });
    const token = await new TokenStore(this.#farm.db).create({ ...ids, permissions: Permission.options });
    this.#scopesOf.set(token, scope);
    return token;
  }

  /** One that inherits from `main`. */
  async branch(): Promise<string> {
    return await this.token(`edit-${++this.#scopes}`, 'main');
  }

  async folder(files: Readonly<Record<string, string>>): Promise<string> {
    const dir = await this.#farm.folder();
    await write(dir, files);
    return dir;
  }

  /** A copy of a directory that is built in `main`, once for all who start from it. */
  async copyOf(name: string, make: () => Promise<string>, ...args: readonly string[]): Promise<string> {
    let base = this.#bases.get(name);
    if (base === undefined) {
      base = make().then(async (dir) => {
        await this.#farm.build(dir, ...args);
        return dir;
      });
      this.#bases.set(name, base);
    }
    const dir = await this.#farm.folder();
    await cp(await base, dir, { recursive: true, verbatimSymlinks: true });
    return dir;
  }

  async build(dir: string, token: string, ...args: readonly string[]): Promise<Explained> {
    const file = join(this.#farm.dir, `explained-${randomBytes(4).toString('hex')}.json`);
    const env = { KILN_TOKEN: token };
    const ran = await this.#farm.kilnBuild([dir, '--metadata-file', file, '--progress=plain', ...args], { env });
    const said = ran.stdout + ran.stderr;
    const id =
      ran.code === 0
        ? Metadata.parse(JSON.parse(await readFile(file, 'utf8')))['kiln.build'].id
        : await this.#last(token);
    return { ...(await this.explain(id, token)), said, code: ran.code };
  }

  async explain(id: string, token: string): Promise<BuildExplanation> {
    const answer = await fetch(`${this.#farm.url}/v1/builds/${id}/explain`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return BuildExplanation.parse(await answer.json());
  }

  async #last(token: string): Promise<string> {
    const { stdout } = await this.#farm.cli(['builds', '--json', '-n', '100'], { env: { KILN_TOKEN: token } }).ended;
    const { builds } = z
      .object({ builds: z.array(z.object({ id: z.string(), scope: z.string() })) })
      .parse(JSON.parse(stdout));
    return builds.find(({ scope }) => scope === this.#scopesOf.get(token))?.id ?? '';
  }
}

/** The step and the cause of the first miss. */
export function first({ causes, said }: Explained): { readonly step: string; readonly cause: OwnCause } {
  const [found] = causes;
  if (found === undefined) throw new Error(`nothing missed:\n${said}`);
  return { step: found.step.name.replace(/^\[[^\]]*\] /, ''), cause: found.cause };
}
