import { jsonLogger, messageOf, systemClock, systemRandom } from '#std';
import { closeApp, createApp } from './app.ts';
import { ApiEnv, readConfig } from './config.ts';

const logger = jsonLogger(
  (line) => process.stderr.write(line),
  () => systemClock.nowMs(),
);

try {
  const config = readConfig(ApiEnv, process.env);
  const app = await createApp({ config, clock: systemClock, random: systemRandom, logger });
  let closing: Promise<void> | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      closing ??= closeApp(app).then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error('the API did not end as it should', { error });
          process.exit(1);
        },
      );
    });
  }
  await app.listen(config.KILN_API_PORT, config.KILN_API_HOST);
  // For whoever started the process: from now on it answers.
  process.stdout.write(`${JSON.stringify({ event: 'listening', url: await app.getUrl() })}\n`);
} catch (error) {
  logger.error(`the API cannot start: ${messageOf(error)}`, { error });
  process.exit(1);
}
