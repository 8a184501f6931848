import { commandOf } from './install-command.ts';

/** Commands that keep what they fetched or made in a folder of root's, and do without it afterwards. */
const caches: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^npm (?:ci|i|install)\b/, ['/root/.npm']],
  [/^(?:python3? -m )?pip3? install\b(?!.* --no-cache-dir\b)/, ['/root/.cache/pip']],
  [/^uv sync\b/, ['/root/.cache/uv']],
  [/^go (?:build|install|test)\b/, ['/go/pkg/mod', '/root/.cache/go-build']],
  [/^cargo (?:build|install|test)\b/, ['/usr/local/cargo/registry']],
  [/^mvn\b.* (?:package|verify|install|compile|test)\b/, ['/root/.m2']],
];

/** The same RUN with cache mounts; undefined where it has one, or none is known to help. */
export function withCacheMounts(instruction: string): string | undefined {
  const run = commandOf(instruction);
  if (run === undefined || run.flags.some((flag) => flag.startsWith('--mount=type=cache'))) return undefined;
  const [, folders] = caches.find(([form]) => form.test(run.command)) ?? [];
  if (folders === undefined) return undefined;
  const mounts = folders.map((folder) => `--mount=type=cache,target=${folder}`);
  return ['RUN', ...run.flags, ...mounts, run.command].join(' ');
}
