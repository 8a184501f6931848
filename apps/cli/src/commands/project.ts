import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { allPages } from './all-pages.ts';
import { table } from './builds.ts';

export interface ProjectListFlags {
  readonly json?: boolean;
  readonly data?: string;
}
export interface ProjectCreateFlags extends ProjectListFlags {
  readonly scope: string;
}

/** `kiln project create NAME` */
export async function projectCreate(name: string, { scope, json, data }: ProjectCreateFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  const made = await client.access.createProject({ name, scope });
  if (json === true) return void process.stdout.write(`${JSON.stringify(made, null, 2)}\n`);
  process.stdout.write(`${made.name} is made in the team ${made.team}\n`);
  process.stderr.write(`kiln token create ci --project ${made.name} --scope ${scope} makes a token of it\n`);
}

/** `kiln project badge on|off`, of the token's own project. */
export async function projectBadge(state: 'on' | 'off', { json, data }: ProjectListFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  const { project } = await client.access.me();
  const badge = await client.access.showBadge(project, state === 'on');
  if (json === true) return void process.stdout.write(`${JSON.stringify(badge, null, 2)}\n`);
  if (state === 'off') return void process.stderr.write('nobody sees the badge\n');
  process.stderr.write(
    'everybody sees the hit ratio of the last 30 days; with ?show=build how the last build ended:\n',
  );
  process.stdout.write(`${badge.url}\n`);
}

/** `kiln project ls` */
export async function projectLs({ json, data }: ProjectListFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  const projects = await allPages(async (page) => {
    const { projects: items, next } = await client.access.projects(page);
    return { items, next };
  });
  if (json === true) return void process.stdout.write(`${JSON.stringify({ projects }, null, 2)}\n`);
  const rows = projects.map(({ name, team, createdAt }) => [name, team, createdAt.replace('T', ' ').slice(0, 16)]);
  process.stdout.write(table([['PROJECT', 'TEAM', 'CREATED'], ...rows]));
}
