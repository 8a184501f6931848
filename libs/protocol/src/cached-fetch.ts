import { commandOf } from './install-command.ts';

/** Commands that keep what they fetched or made in a folder of root's, and do without it afterwards. */
const caches: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^npm (?:ci|i|install)\b/, ['/root/.npm']],
  [/^(?:python3? -m )?pip3? install\b(?!.* --no-cache-dir\b)/, ['/root/.cache/pip']],
  [/^uv sync\b/, ['/root/.cache/uv']],
  // Not its modules: a step before may have fetched them into the image, and a mount would hide them.
  [/^go (?:build|install|test)\b/, ['/root/.cache/go-build']],
  [/^cargo (?:build|install|test)\b/, ['/usr/local/cargo/registry']],
  [/^mvn\b.* (?:package|verify|install|compile|test)\b/, ['/root/.m2/repository']],
];

/** It takes what it needs from the image, which a mount would hide, or takes the folder away afterwards. */
const needless = / (?:-o|--offline|--frozen)(?: |$)|&& (?:rm|\S+ (?:cache )?(?:clean|purge))\b/;

/** The same RUN with cache mounts; undefined where it has one, or none is known to help. */
export function withCacheMounts(instruction: string): string | undefined {
  const run = commandOf(instruction);
  if (run === undefined || run.flags.some((flag) => flag.startsWith('--mount=type=cache'))) return undefined;
  const [, folders] = caches.find(([form]) => form.test(run.command)) ?? [];
  if (folders === undefined || needless.test(run.command)) return undefined;
  // What is compiled needs no network, what is fetched does.
  if (run.flags.includes('--network=none') && !run.command.startsWith('go ')) return undefined;
  const mounts = folders.map((folder) => `--mount=type=cache,target=${folder}`);
  return ['RUN', ...run.flags, ...mounts, run.command].join(' ');
}
