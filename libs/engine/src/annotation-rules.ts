import { formatPlatform, parsePlatform, type Platform, samePlatform } from '#oci';
import { KilnError } from '#std';

const targets = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'] as const;
export type AnnotationTarget = (typeof targets)[number];

/** One annotation of a request, and what it is put on. */
export interface AnnotationRule {
  readonly target: AnnotationTarget;
  /** of manifests alone: the one for this platform; all by default */
  readonly platform: Platform | undefined;
  readonly key: string;
  readonly value: string;
}

/**
 * A request's annotations: `key`, `manifest:key`, `index:key`, `manifest[linux/amd64]:key`, `manifest-descriptor:key` …
 * A key may have colons of its own.
 * @throws KilnError INVALID_ARGUMENT
 */
export function parseAnnotations(annotations: Readonly<Record<string, string>>): AnnotationRule[] {
  return Object.entries(annotations).map(([text, value]) => {
    const match = /^(manifest|manifest-descriptor|index|index-descriptor)(?:\[([^\]]*)\])?:(.+)$/.exec(text);
    const target = targets.find((known) => known === match?.[1]) ?? 'manifest';
    const key = match?.[3] ?? text;
    const platform = match?.[2] === undefined ? undefined : parsePlatform(match[2]);
    if (platform !== undefined && target.startsWith('index')) {
      throw new KilnError('INVALID_ARGUMENT', `an index has no platform: ${JSON.stringify(text)}`, {
        field: 'annotations',
        hint: 'write it as index:KEY=VALUE',
      });
    }
    return { target, platform, key, value };
  });
}

export interface AnnotationScope {
  readonly platforms: readonly Platform[];
  /** whether there is an index */
  readonly index: boolean;
}

/** @throws KilnError INVALID_ARGUMENT for an annotation of what the build does not make */
export function checkAnnotations(rules: readonly AnnotationRule[], { platforms, index }: AnnotationScope): void {
  for (const { target, platform, key } of rules) {
    if (!index && target.startsWith('index')) {
      throw new KilnError('INVALID_ARGUMENT', `the annotation ${target}:${key} needs several platforms`, {
        field: 'annotations',
        hint: 'an image for one platform has no index; write it as manifest:KEY=VALUE',
      });
    }
    if (platform !== undefined && !platforms.some((known) => samePlatform(known, platform))) {
      const built = platforms.map(formatPlatform).join(', ');
      throw new KilnError('INVALID_ARGUMENT', `the annotation ${key} is for ${formatPlatform(platform)}`, {
        field: 'annotations',
        hint: `this build is for ${built}`,
      });
    }
  }
}

/** What is put on one thing; what is said of one platform wins over what is said of all. */
export function annotationsOf(
  rules: readonly AnnotationRule[],
  target: AnnotationTarget,
  platform?: Platform,
): Readonly<Record<string, string>> {
  const of = (wanted: (rule: AnnotationRule) => boolean) =>
    rules.filter((rule) => rule.target === target && wanted(rule)).map(({ key, value }) => [key, value] as const);
  return Object.fromEntries([
    ...of((rule) => rule.platform === undefined),
    ...of((rule) => rule.platform !== undefined && platform !== undefined && samePlatform(rule.platform, platform)),
  ]);
}
