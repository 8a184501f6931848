import { chmod, chown, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RunConfig } from '#oci';
import { type LayerFile, layerOf } from './layer.ts';
import { runCommand } from './run-command.ts';

/** Bump when what is made changes: what an earlier version made is not used any more. */
export const RECIPE_VERSION = 1;

const NODE_VERSION = '20.20.2';
const NPM_VERSION = '10.9.9';
/** When everything in the images was made: their digests do not depend on the day. */
const EPOCH_SECONDS = 1_735_689_600;
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const NETWORK_HINT = 'check the network; the embedded farm needs it once, to make base images';

/** An image to be put into the farm's mirror. */
export interface StandIn {
  /** `library/debian:12-slim` */
  readonly name: string;
  readonly config: RunConfig;
  readonly layers: readonly LayerFile[];
}

interface Making {
  /** an empty directory */
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** Debian 12 with what its slim image leaves out left out. */
export async function makeDebian({ dir, signal }: Making): Promise<StandIn> {
  const tar = join(dir, 'debian.tar');
  const archive = 'http://deb.debian.org';
  const options = [
    ...['--quiet', '--variant=minbase', '--mode=root', '--format=tar', '--skip=output/dev'],
    ...['man', 'locale', 'doc', 'info', 'lintian'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    '--aptopt=Acquire::Languages "none"',
    // As in Debian's own container images: no packages kept, no service started.
    `--customize-hook=echo 'APT::Keep-Downloaded-Packages "false";' > "$1/etc/apt/apt.conf.d/99kiln"`,
    '--customize-hook=printf "#!/bin/sh\\nexit 101\\n" > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"',
    '--customize-hook=find "$1/var/lib/apt/lists" "$1/var/cache" "$1/var/log" -type f -delete',
    '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
  ];
  const sources = [
    `deb ${archive}/debian bookworm main`,
    `deb ${archive}/debian bookworm-updates main`,
    `deb ${archive}/debian-security bookworm-security main`,
  ];
  await runCommand('mmdebstrap', [...options, 'bookworm', tar, ...sources], {
    signal,
    env: { SOURCE_DATE_EPOCH: String(EPOCH_SECONDS), TMPDIR: dir },
    hint: NETWORK_HINT,
  });
  return {
    name: 'library/debian:12-slim',
    config: { Env: [`PATH=${SYSTEM_PATH}`], Cmd: ['bash'] },
    layers: [await layerOf(tar, signal)],
  };
}

/** Debian's static busybox with a link for each of its applets. */
export async function makeBusybox({ dir, signal }: Making): Promise<StandIn> {
  const root = join(dir, 'busybox');
  await makeDirs(root, ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'tmp', 'usr', 'var']);
  await chmod(join(root, 'tmp'), 0o1777);
  await cp('/bin/busybox', join(root, 'bin/busybox'));
  const applets = (await runCommand('/bin/busybox', ['--list'], { signal })).split('\n');
  for (const applet of applets.filter((name) => name !== '' && name !== 'busybox'))
    await symlink('busybox', join(root, 'bin', applet));
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnobody:x:65534:\n');
  return {
    name: 'library/busybox:1',
    config: { Env: [`PATH=${SYSTEM_PATH}`], Cmd: ['sh'] },
    layers: [await layerOf(await pack(root, signal), signal)],
  };
}

const ENTRYPOINT = `#!/bin/sh
set -e
# A first argument that is a flag, or no command, is for Node.
if [ "\${1#-}" != "\${1}" ] || [ -z "$(command -v "\${1}")" ] || { [ -f "\${1}" ] && ! [ -x "\${1}" ]; }; then
  set -- node "$@"
fi
exec "$@"
`;

/** Node and npm, as npm's registry has them, on {@link makeDebian}'s image. */
export async function makeNode({ dir, signal }: Making, debian: StandIn): Promise<StandIn> {
  const packages = join(dir, 'packages');
  const root = join(dir, 'node');
  await makeDirs(packages, ['node', 'npm']);
  await makeDirs(root, ['etc', 'home/node', 'usr/local/bin', 'usr/local/lib/node_modules']);
  const specs = [`node-linux-${process.arch}@${NODE_VERSION}`, `npm@${NPM_VERSION}`];
  await runCommand('npm', ['pack', '--silent', ...specs], { cwd: packages, signal, hint: NETWORK_HINT });
  const unpack = (name: string, into: string): Promise<string> =>
    runCommand('tar', ['-xzf', join(packages, name), '-C', into, '--strip-components=1', '--no-same-owner'], {
      signal,
    });
  await unpack(`node-linux-${process.arch}-${NODE_VERSION}.tgz`, join(packages, 'node'));
  await cp(join(packages, 'node/bin/node'), join(root, 'usr/local/bin/node'));
  await chmod(join(root, 'usr/local/bin/node'), 0o755);
  const npm = join(root, 'usr/local/lib/node_modules/npm');
  await mkdir(npm);
  await unpack(`npm-${NPM_VERSION}.tgz`, npm);
  for (const name of ['npm', 'npx']) {
    await chmod(join(npm, `bin/${name}-cli.js`), 0o755);
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name));
  }
  await symlink('node', join(root, 'usr/local/bin/nodejs'));
  await writeFile(join(root, 'usr/local/bin/docker-entrypoint.sh'), ENTRYPOINT);
  await chmod(join(root, 'usr/local/bin/docker-entrypoint.sh'), 0o755);
  await addUser(root, join(dir, 'debian.tar'), signal);
  return {
    name: 'library/node:20-slim',
    config: {
      Env: [`PATH=${SYSTEM_PATH}`, `NODE_VERSION=${NODE_VERSION}`],
      Entrypoint: ['docker-entrypoint.sh'],
      Cmd: ['node'],
    },
    layers: [...debian.layers, await layerOf(await pack(root, signal), signal)],
  };
}

/** The user `node` (1000), as in Node's own image. */
async function addUser(root: string, baseTar: string, signal: AbortSignal): Promise<void> {
  const lines = { passwd: 'node:x:1000:1000::/home/node:/bin/bash\n', group: 'node:x:1000:\n' };
  for (const [name, line] of Object.entries(lines)) {
    const base = await runCommand('tar', ['-xOf', baseTar, `./etc/${name}`], { signal });
    await writeFile(join(root, 'etc', name), base + line);
  }
  await chown(join(root, 'home/node'), 1000, 1000);
}

async function makeDirs(root: string, names: readonly string[]): Promise<void> {
  for (const name of names) await mkdir(join(root, name), { recursive: true, mode: 0o755 });
}

/** The same bytes for the same files, whenever and wherever they were made. */
async function pack(root: string, signal: AbortSignal): Promise<string> {
  const tar = `${root}.tar`;
  const fixed = ['--sort=name', `--mtime=@${EPOCH_SECONDS}`, '--numeric-owner', '--format=posix'];
  const times = '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime';
  await runCommand('tar', [...fixed, times, '-C', root, '-cf', tar, '.'], { signal, cwd: dirname(root) });
  return tar;
}
