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

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalisePlatform(a)) === formatPlatform(normalisePlatform(b));
}
