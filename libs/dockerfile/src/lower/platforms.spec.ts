import { mergeDefinitions } from '#graph';
import { formatPlatform, parsePlatform } from '#oci';
import { describe, expect, test } from 'vitest';
import { FakeRegistry, lower, names } from './lowered.fixture.ts';
import type { LowerOptions } from './lower-options.ts';

const registry = new FakeRegistry({ 'docker.io/library/trigger:latest': { OnBuild: ['RUN of $TARGETARCH'] } });

const forPlatform = (text: string, platform: string, more: Partial<LowerOptions> = {}) =>
  lower(text, { platform: parsePlatform(platform), platformAsked: true, namePlatforms: true, ...more }, registry);

describe('a build for several platforms', () => {
  test('tells the platform of each step, and the target of what cross-compiles', async () => {
    const text = [
      'FROM --platform=$BUILDPLATFORM a AS build',
      'RUN tools',
      'ARG TARGETOS TARGETARCH',
      'RUN make',
      'FROM b',
      'COPY --from=build /x /',
      'ARG TARGETPLATFORM',
      'RUN test',
    ].join('\n');
    const shown = names(await forPlatform(text, 'linux/arm64')).map((name) => name.replace(/@sha256:\w+/, ''));
    expect(shown).toEqual([
      '[linux/amd64 build 1/3] FROM docker.io/library/a:latest',
      '[linux/amd64 build 2/3] RUN tools',
      '[linux/amd64->arm64 build 3/3] RUN make',
      '[linux/arm64 stage-1 1/3] FROM docker.io/library/b:latest',
      '[linux/arm64 stage-1 2/3] COPY --from=build /x /',
      '[linux/arm64 stage-1 3/3] RUN test',
    ]);
    expect(names(await forPlatform('FROM a\nRUN x', 'linux/arm/v6')).at(-1)).toBe('[linux/arm/v6 2/2] RUN x');
    expect(names(await forPlatform('FROM a\nRUN x', 'linux/arm/v6', { namePlatforms: false })).at(-1)).toBe(
      '[2/2] RUN x',
    );
  });

  test('has once what asks for no target', async () => {
    const text =
      'FROM --platform=$BUILDPLATFORM a AS b\nRUN tools\nFROM b AS c\nARG TARGETARCH\nRUN make\nFROM scratch\nCOPY --from=c /x /';
    const all = await Promise.all(['linux/amd64', 'linux/arm64'].map((platform) => forPlatform(text, platform)));
    const { vertices, roots } = mergeDefinitions(all.map(({ definition }) => definition));
    const merged = [...vertices.values()].map(({ label }) => label.name);
    expect(merged.filter((name) => name.includes('RUN tools'))).toHaveLength(1);
    expect(merged.filter((name) => name.includes('RUN make'))).toHaveLength(2);
    expect(roots).toHaveLength(2);
  });

  test('takes the image of each platform, and its triggers', async () => {
    const all = await Promise.all(
      ['linux/amd64', 'linux/arm64'].map((each) => forPlatform('FROM trigger\nRUN x', each)),
    );
    expect(new Set(all.map(({ base }) => base?.digest)).size).toBe(2);
    expect(all.map(names).map((each) => each[1])).toEqual([
      '[linux/amd64 2/3] ONBUILD RUN of $TARGETARCH',
      '[linux/arm64 2/3] ONBUILD RUN of $TARGETARCH',
    ]);
  });

  test('is for what was asked, whatever its stages are for', async () => {
    const text = 'FROM --platform=linux/arm64 a';
    expect(formatPlatform((await forPlatform(text, 'linux/amd64')).platform)).toBe('linux/amd64');
    expect(formatPlatform((await lower(text)).platform)).toBe('linux/arm64');
  });
});
