import { describe, expect, it } from 'vitest';
import { lower } from './lowered.fixture.ts';

const file = `
ARG BUILDKIT_SBOM_SCAN_STAGE=tools,other
FROM scratch AS tools
RUN tool
FROM scratch AS unused
ARG BUILDKIT_SBOM_SCAN_STAGE=true
FROM scratch
ARG BUILDKIT_SBOM_SCAN_STAGE=true
RUN unnamed
FROM scratch AS other
ARG BUILDKIT_SBOM_SCAN_STAGE=0
RUN other
FROM scratch
ARG BUILDKIT_SBOM_SCAN_CONTEXT
COPY --from=tools /a /a
COPY --from=2 /b /b
COPY --from=other /c /c
`;
const scanned = async (buildArgs: Readonly<Record<string, string>>): Promise<readonly string[]> =>
  (await lower(file, { buildArgs })).scanned.map(({ name, definition }) => {
    const [root] = definition.roots;
    const { op } = [...definition.vertices.values()].find(({ digest }) => digest === root?.vertex) ?? {};
    return op?.kind === 'exec' ? `${name}: ${op.args.at(-1)}` : `${name}: ${op?.kind}`;
  });

describe('what a bill of materials tells of', () => {
  it('are the stages that say so and that the result needs', async () => {
    expect(await scanned({})).toEqual(['tools: tool', 'stage-2: unnamed']);
  });

  it('is the context where the target says so, and what a build argument says instead', async () => {
    expect(await scanned({ BUILDKIT_SBOM_SCAN_CONTEXT: 'true' })).toEqual([
      'context: local',
      'tools: tool',
      'stage-2: unnamed',
    ]);
    expect(await scanned({ BUILDKIT_SBOM_SCAN_STAGE: 'false' })).toEqual([]);
    expect(await scanned({ BUILDKIT_SBOM_SCAN_STAGE: 'other' })).toEqual(['other: other']);
  });
});
