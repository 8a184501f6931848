import { z } from 'zod';
import { KilnError } from '#std';

/** `os/architecture[/variant]`; https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

export const PlatformSchema = z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() });

/** @throws KilnError INVALID_ARGUMENT */
export function parsePlatform(text: string): Platform {
  const match = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9]+))?$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new KilnError('INVALID_ARGUMENT', `not a platform: ${JSON.stringify(text)}`, {
      hint: 'write it as os/architecture, such as linux/amd64',
    });
  }
  return normalisePlatform({ os: match[1], architecture: match[2], variant: match[3] });
}

const systems = ['linux', 'windows', 'darwin', 'freebsd', 'wasip1'];
/** Those that programs are made for: https://go.dev/doc/install/source#environment */
const allSystems = [
  ...systems,
  'aix',
  'android',
  'dragonfly',
  'illumos',
  'ios',
  'js',
  'netbsd',
  'openbsd',
  'plan9',
  'solaris',
];
const architectures = [
  ...['386', 'amd64', 'arm', 'arm64', 'loong64', 'mips', 'mips64', 'mips64le', 'mipsle'],
  ...['ppc64', 'ppc64le', 'riscv64', 's390x', 'wasm'],
  // Of Debian's ports, for which there are images too.
  ...['alpha', 'hppa', 'm68k', 'ppc', 'sh4', 'sparc64'],
];

/** One that an image can be for. @throws KilnError INVALID_ARGUMENT with those that there are */
export function parseKnownPlatform(text: string): Platform {
  const platform = parsePlatform(text);
  const { os, architecture } = platform;
  const refuse = (what: string, name: string, known: readonly string[]): KilnError =>
    new KilnError('INVALID_ARGUMENT', `unknown ${what} ${JSON.stringify(name)} in the platform ${text}`, {
      hint: `there are: ${known.join(', ')}`,
    });
  if (!allSystems.includes(os)) throw refuse('operating system', os, allSystems);
  if (!architectures.includes(architecture)) throw refuse('architecture', architecture, architectures);
  return platform;
}

/**
 * As people write it: one word alone is a system or an architecture, and the rest is `own`'s.
 * @throws KilnError INVALID_ARGUMENT
 */
export function parseShortPlatform(text: string, own: Platform): Platform {
  const lower = text.toLowerCase();
  if (lower.includes('/')) return parsePlatform(lower);
  return parsePlatform(systems.includes(lower) ? `${lower}/${own.architecture}` : `${own.os}/${lower}`);
}

/** Normalised, each once, in the order in which they come first. */
export function distinctPlatforms(platforms: readonly Platform[]): readonly Platform[] {
  return [
    ...new Map(platforms.map((each) => [formatPlatform(normalisePlatform(each)), normalisePlatform(each)])).values(),
  ];
}

/** The names that containerd gives: `x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`. */
export function normalisePlatform({ os, architecture, variant }: Platform): Platform {
  const arch =
    { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64', armhf: 'arm', i386: '386' }[architecture] ?? architecture;
  if (arch === 'arm64' && variant === 'v8') return { os, architecture: arch };
  if (arch === 'amd64' && variant === 'v1') return { os, architecture: arch };
  if (arch === 'arm' && variant === undefined) return { os, architecture: arch, variant: 'v7' };
  return variant === undefined ? { os, architecture: arch } : { os, architecture: arch, variant };
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Whether a machine of the platform `own` runs programs of another: older variants, too. */
export function runsOn(own: Platform, wanted: Platform): boolean {
  const [have, need] = [normalisePlatform(own), normalisePlatform(wanted)];
  if (have.os !== need.os || have.architecture !== need.architecture) return false;
  // How new an amd64 or arm64 machine is, nobody says of their nodes.
  if (have.architecture !== 'arm') return true;
  return (need.variant ?? '') <= (have.variant ?? '');
}

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalisePlatform(a)) === formatPlatform(normalisePlatform(b));
}
