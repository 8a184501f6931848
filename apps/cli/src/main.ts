import { enableCompileCache } from 'node:module';

enableCompileCache();

/** A reader that has gone (`kiln logs … | head`) ends the command quietly; progress that nobody reads is no failure. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(process.exitCode ?? 0);
});
process.stderr.on('error', () => {});

const { runProgram } = await import('./program.ts');
try {
  await runProgram(process.argv.slice(2));
} catch (thrown) {
  const { describeFailure } = await import('./fail.ts');
  const { text, code } = describeFailure(thrown, (process.env['KILN_DEBUG'] ?? '') !== '');
  process.stderr.write(text);
  process.exitCode = code;
}
