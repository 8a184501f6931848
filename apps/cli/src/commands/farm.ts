import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readLocalConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { readFarmFile } from '../farm/farm-file.ts';
import { startFarm, supervisorMain } from '../farm/start-farm.ts';
import { StartProgress } from '../farm/start-progress.ts';
import { terminalOf } from '../terminal.ts';
import { usageError } from '../usage.ts';

export interface DownFlags {
  readonly data?: string;
}

export interface UpFlags extends DownFlags {
  readonly builders?: string;
  readonly objectStore?: string;
}

export interface StatusFlags extends DownFlags {
  readonly json?: boolean;
}

/** `kiln up`: returns when all is ready. */
export async function up(flags: UpFlags): Promise<void> {
  const config = readLocalConfig(process.env, flags.data);
  if (flags.builders !== undefined && !/^[1-9]\d{0,2}$/.test(flags.builders)) {
    throw usageError(`--builders is no number of builders: ${JSON.stringify(flags.builders)}`, 'give a number from 1');
  }
  if (flags.objectStore !== undefined && !/^(s3:\/\/|file:\/\/\/|\/)./.test(flags.objectStore)) {
    throw usageError(
      `--object-store is no object store: ${JSON.stringify(flags.objectStore)}`,
      'write s3://bucket/prefix?region=…, or an absolute folder',
    );
  }
  const args = [
    ...(flags.builders === undefined ? [] : ['--builders', flags.builders]),
    ...(flags.objectStore === undefined ? [] : ['--object-store', flags.objectStore]),
  ];
  const progress = new StartProgress(
    config.live ? terminalOf(process.stderr) : undefined,
    (text) => void process.stderr.write(text),
  );
  try {
    await startFarm({
      dataDir: config.dataDir,
      args,
      onProgress: (message) => progress.show(message),
    });
  } finally {
    progress.end();
  }
  const farm = await readFarmFile(config.dataDir);
  process.stdout.write(`farm ready at ${farm?.url ?? 'an unknown address'} (data in ${config.dataDir})\n`);
}

/** `kiln down` */
export function down(flags: DownFlags): Promise<void> {
  return relay('down', flags, []);
}

/** `kiln status`: exit code 3 when no farm runs. */
export function status(flags: StatusFlags): Promise<void> {
  return relay('status', flags, flags.json === true ? ['--json'] : []);
}

/** The supervisor's own command, with this process' streams and its exit code. */
async function relay(command: 'down' | 'status', flags: DownFlags, args: readonly string[]): Promise<void> {
  const { dataDir } = readLocalConfig(process.env, flags.data);
  const child = spawn(process.execPath, [supervisorMain, command, '--data', dataDir, ...args], { stdio: 'inherit' });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Exit(code ?? (signal === 'SIGINT' ? 130 : 1));
}
