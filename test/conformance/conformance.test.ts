import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { beforeAll, describe, expect, it } from 'vitest';
import { startCaseFarm } from './case-farm.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const cli = fileURLToPath(new URL('../../dist/apps/cli/src/main.js', import.meta.url));
const cases = readdirSync(join(here, 'cases')).sort();
/** All of them together; no single case may keep the others. */
const ALL_MS = 300_000;

const Results = z.array(
  z.object({ name: z.string(), status: z.string(), problems: z.array(z.tuple([z.string(), z.string()])) }),
);
type Result = z.infer<typeof Results>[number];
const results = new Map<string, Result>();

/** The recorded cases' own runner judges them: what reads the images here shares no line with what made them. */
beforeAll(async () => {
  await using held = await startCaseFarm();
  const { farm, registry, files } = held;
  const report = join(farm.dir, 'report.json');
  const tmp = join(farm.dir, 'cases');
  await mkdir(tmp);
  const builder = `${process.execPath} ${cli} build {args} -f {file} --output type=oci,dest={dest} {context}`;
  const port = files.slice(files.indexOf(':') + 1);
  const args = ['--jobs', '2', '--builder', builder, '--registry', registry, '--http-port', port];
  const child = spawn('python3', [join(here, 'runner.py'), ...args, '--tmp', tmp, '--json', report], {
    env: { ...process.env, HOME: farm.dir, KILN_URL: farm.url, KILN_TOKEN: farm.token, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  const read = await readFile(report, 'utf8').catch(() => Promise.reject(new Error(`no report:\n${said}`)));
  for (const result of Results.parse(JSON.parse(read))) results.set(result.name, result);
}, ALL_MS);

describe('builds what BuildKit builds', () => {
  it.each(cases)('%s', (name) => {
    const result = results.get(name);
    const problems = result?.problems.map(([kind, text]) => `${kind}: ${text}`).join('\n') ?? 'was not run';
    expect(problems).toBe('');
    expect(result?.status).toBe('PASS');
  });
});
