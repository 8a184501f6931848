import type { Command } from 'commander';

/** Below the flags of each command: what one types, and what comes of it. */
const examples: Readonly<Record<string, readonly (readonly [line: string, what?: string])[]>> = {
  bake: [
    ['kiln bake', 'the group or target default of docker-bake.hcl, or all services of compose.yaml'],
    ['kiln bake --print app', 'what would be built'],
    ['kiln bake "app-*" --set "*.platform=linux/arm64" --push'],
    ['TAG=1.2 kiln bake -f docker-bake.hcl -f release.hcl --metadata-file built.json', 'for CI'],
  ],
  up: [
    ['kiln up', 'start the farm of this machine'],
    ['kiln up --builders 4', 'the same with four builders; a farm that runs is changed'],
  ],
  down: [['kiln down', 'end it; what it has stays for the next kiln up']],
  status: [['kiln status'], ["kiln status --json | jq -r '.registry.address'", 'where images can be pushed to']],
  builds: [
    ['kiln builds'],
    ['kiln builds --filter state=failed --filter since=24h', 'what failed since yesterday'],
    ['kiln builds --filter branch=main --filter image=acme/app -n 1', 'the last one of an image on main'],
    ["kiln builds --json | jq -r '.builds[].id'"],
  ],
  images: [
    ['kiln images'],
    ['kiln images acme/app', 'all tags of one'],
    ["kiln images --json | jq -r '.images[].digest'"],
  ],
  history: [['kiln history acme/app:1'], ['kiln history --no-trunc 4f1c8e2ab0d3', 'by the id that kiln images shows']],
  tag: [['kiln tag acme/app:1.2.3 acme/app:latest']],
  push: [
    ['kiln push registry.example.com/acme/app:1', 'under its own name'],
    ['kiln push acme/app:1 registry.example.com/acme/app:1 registry.example.com/mirror/app:1'],
  ],
  proxy: [
    [
      'kiln proxy --listen 127.0.0.1:2375',
      'then, elsewhere: DOCKER_HOST=tcp://127.0.0.1:2375 DOCKER_BUILDKIT=0 docker build .',
    ],
    ['kiln proxy --listen unix:///run/user/1000/kiln.sock', 'for yourself alone, on a machine of many'],
  ],
  rmi: [['kiln rmi acme/app:old'], ['kiln rmi -f 4f1c8e2ab0d3', 'under all its names']],
  dashboard: [['kiln dashboard'], ['xdg-open "$(kiln dashboard)"', 'opens it']],
  logs: [
    ['kiln logs 2jakgbtjphytqyff17x3', 'so far'],
    ['kiln logs -f 2jakgbtjphytqyff17x3', 'to the end of the build'],
    ['kiln logs 2jakgbtjphytqyff17x3 --step 4', 'the step that is shown as [4/6]'],
  ],
  retry: [
    ['kiln retry 2jakgbtjphytqyff17x3'],
    ['kiln retry 2jakgbtjphytqyff17x3 --secret id=npmrc,src=.npmrc', 'secrets went with the build’s end'],
  ],
  cancel: [['kiln cancel 2jakgbtjphytqyff17x3']],
  cache: [
    ['kiln cache stats', 'what the cache was good for'],
    ['kiln cache misses', 'what it could be good for'],
    ['kiln cache du', 'what takes room'],
  ],
  'cache du': [['kiln cache du'], ['kiln cache du --json | jq .cacheBytes']],
  'cache prune': [
    ['kiln cache prune --dry-run', 'what would go, and why'],
    ['kiln cache prune --keep-storage 10gb', 'until no more than that is left'],
    ['kiln cache prune --filter until=720h -f', 'what was not used for 30 days'],
  ],
  'cache disown': [
    ['kiln cache disown 2jakgbtjphytqyff17x3 --dry-run', 'what would go, and who used it'],
    ['kiln cache disown 2jakgbtjphytqyff17x3 --step 4 --reason "a poisoned mirror"'],
  ],
  'cache misses': [['kiln cache misses', 'what to mend first'], ['kiln cache misses --days 30 --scope main --json']],
  'cache reruns': [['kiln cache reruns', 'which steps are not deterministic'], ['kiln cache reruns --days 90 --json']],
  'cache stats': [
    ['kiln cache stats', 'why steps ran in the last week'],
    ['kiln cache stats --by step --days 30', 'which steps cost most'],
    ['kiln cache stats --by project', 'all projects of the team beside each other'],
  ],
  token: [['kiln token create ci --expires 30d'], ['kiln token ls']],
  'token create': [
    ['kiln token create ci --expires 30d', 'builds and reads, in the own scope'],
    ['kiln token create dashboard --permission read'],
    ['kiln token create ada --member ada --scope dev > token', 'the token alone goes to standard output'],
  ],
  'token ls': [['kiln token ls'], ['kiln token ls --all --json', 'with those that have ended']],
  'token revoke': [['kiln token revoke 5h2m8wq4t1z0c9vb', 'the id as kiln token ls shows it']],
  project: [['kiln project create web'], ['kiln project ls']],
  'project create': [
    ['kiln project create web'],
    ['kiln project create web --scope trunk', 'its default branch is trunk'],
  ],
  'project badge': [['kiln project badge on', 'prints its address'], ['kiln project badge off']],
  'project ls': [['kiln project ls'], ["kiln project ls --json | jq -r '.projects[].name'"]],
  admin: [
    ['kiln admin doctor', 'is all well'],
    ['kiln admin fsck', 'is everything there that the farm knows'],
  ],
  'admin fsck': [
    ['kiln admin fsck', 'exit code 1 when something is wrong'],
    ['kiln admin fsck --deep --repair', 'after a disk has failed'],
  ],
  'admin backup': [['kiln admin backup /mnt/backups/kiln', 'every night into the same directory']],
  'admin restore': [
    ['KILN_SECRET_KEY=$KEY kiln admin restore /mnt/backups/kiln --data /srv/kiln', 'as an embedded farm; then kiln up'],
    ['kiln admin restore /mnt/backups/kiln', 'with the environment of an API, a new database and an empty store'],
  ],
  'admin doctor': [
    ['kiln admin doctor', 'exit code 1 when something is wrong, 3 when something does not answer'],
    ['kiln admin doctor --json | jq \'.checks[] | select(.state != "ok")\''],
  ],
  builder: [['kiln builder ls'], ['kiln builder drain builder-2']],
  'builder drain': [
    ['kiln builder drain builder-2', 'before its machine is stopped'],
    ['KILN_TOKEN=$OPERATOR_TOKEN kiln builder drain big-1', 'on a farm of your own: the API’s KILN_OPERATOR_TOKEN'],
  ],
  'builder undrain': [['kiln builder undrain builder-2']],
  'builder join': [
    [
      'kiln builder join | ssh root@big-1 "cd kiln && sh"',
      'with the API’s environment; hands out the farm’s credentials',
    ],
    ['kiln builder join --id big-1 --env | ssh root@big-1 "umask 077; cat > /etc/kiln/builder.env"', 'for a service'],
  ],
  'builder ls': [['kiln builder ls'], ['kiln builder ls --json', 'with the times of their last heartbeats']],
  member: [['kiln member create ada --email ada@example.com'], ['kiln member ls']],
  'member create': [
    ['kiln member create ada --email ada@example.com', 'signs in to the dashboard at the farm’s issuer'],
    ['kiln member create ada --role owner', 'decides over the team'],
  ],
  'member ls': [['kiln member ls'], ["kiln member ls --json | jq -r '.members[].name'"]],
  'member update': [
    ['kiln member update ada --role maintainer'],
    ['kiln member update ada --email ada@example.org', 'whoever signs in so first is ada from then on'],
    ['kiln member update ada --no-email'],
  ],
  'member rm': [['kiln member rm ada', 'the name as kiln member ls shows it']],
  webhook: [['kiln webhook create https://ci.example.com/kiln --event build.failed'], ['kiln webhook ls']],
  'webhook create': [
    ['kiln webhook create https://ci.example.com/kiln', 'told of every build'],
    ['kiln webhook create https://ci.example.com/kiln --event build.failed > secret', 'the secret alone goes there'],
  ],
  'webhook ls': [['kiln webhook ls'], ["kiln webhook ls --json | jq -r '.webhooks[].id'"]],
  'webhook update': [
    ['kiln webhook update 5h2m8wq4t1z0c9vb --enable', 'after its receiver was mended'],
    ['kiln webhook update 5h2m8wq4t1z0c9vb --url https://ci.example.com/other --event build.failed'],
  ],
  'webhook rm': [['kiln webhook rm 5h2m8wq4t1z0c9vb', 'the id as kiln webhook ls shows it']],
  'webhook deliveries': [
    ['kiln webhook deliveries 5h2m8wq4t1z0c9vb'],
    ['kiln webhook deliveries 5h2m8wq4t1z0c9vb --json', 'with every attempt and what was answered'],
  ],
  'webhook redeliver': [
    ['kiln webhook redeliver 5h2m8wq4t1z0c9vb msg_0c2a6f0e8f5b4c3c9b0a8d2b6f1e7a55', 'under the same webhook-id'],
  ],
  'webhook ping': [['kiln webhook ping 5h2m8wq4t1z0c9vb']],
  login: [
    ['kiln login https://kiln.example.com', 'asks for the token, and does not show it'],
    ['kiln login https://kiln.example.com --token-stdin < token', 'for scripts'],
    ['kiln login https://kiln.example.com --oidc --project web', 'in a CI job, without a stored token'],
    ['kiln login --context staging', 'a new token for a farm that is known'],
  ],
  logout: [['kiln logout'], ['kiln logout --context staging']],
  whoami: [['kiln whoami'], ["kiln whoami --json | jq -r '.permissions[]'"]],
  completion: [
    ['source <(kiln completion bash)', 'in ~/.bashrc'],
    ['kiln completion zsh > "${fpath[1]}/_kiln"', 'once'],
    ['kiln completion fish > ~/.config/fish/completions/kiln.fish', 'once'],
  ],
  context: [
    ['kiln context ls'],
    ['kiln context use default', 'the farm of this machine again'],
    ['kiln --context staging builds', 'another farm, for one command'],
  ],
  'context ls': [['kiln context ls'], ["kiln context ls --json | jq -r '.contexts[].url'"]],
  'context show': [['kiln context show']],
  'context use': [['kiln context use staging'], ['kiln context use default', 'the farm of this machine']],
  'context create': [['kiln context create staging --url https://kiln.staging.example.com']],
  'context update': [['kiln context update staging --url https://kiln2.staging.example.com']],
  'context rm': [['kiln context rm staging'], ['kiln context rm -f staging old']],
};

/** Puts its examples below each command's flags. */
export function addExamples(program: Command): void {
  for (const command of everyCommand(program)) {
    const lines = examples[pathOf(command)];
    if (lines === undefined) continue;
    const width = Math.max(...lines.map(([line, what]) => (what === undefined ? 0 : line.length)));
    const shown = lines.map(([line, what]) =>
      what === undefined ? `  ${line}\n` : `  ${line.padEnd(width)}   ${what}\n`,
    );
    command.addHelpText('after', `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${shown.join('')}`);
  }
}

/** A command and all below it. */
export function everyCommand(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** `cache prune`; of the program itself nothing. */
export const pathOf = (command: Command): string =>
  command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim();
