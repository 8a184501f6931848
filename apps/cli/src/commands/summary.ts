import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { findingsOf, readStory } from '../summary/build-story.ts';
import { codeQuality } from '../summary/code-quality.ts';
import type { SummaryFormat } from '../summary/formats.ts';
import { githubCommands } from '../summary/github.ts';
import { markdownOf } from '../summary/markdown.ts';

export interface SummaryFlags {
  readonly format: SummaryFormat;
  readonly file?: string;
  readonly data?: string;
}

/** `kiln summary BUILD`: a build on a page, or its findings as a CI shows them. Waits for the build's end. */
export async function summary(id: string, { format, file, data }: SummaryFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  // Following is patient with a farm that is away; one that never was there is told at once.
  await client.build(id);
  const story = await readStory(client, id);
  const dockerfile = file ?? story.build.failure?.excerpt?.file ?? story.build.request.dockerfile;
  const findings = findingsOf(story, dockerfile);
  switch (format) {
    case 'markdown':
      process.stdout.write(markdownOf(story, dockerfile));
      break;
    case 'github':
      process.stdout.write(githubCommands(findings));
      break;
    case 'codequality':
      process.stdout.write(codeQuality(findings, dockerfile));
      break;
    case 'json': {
      const { build, explanation } = story;
      process.stdout.write(`${JSON.stringify({ build, findings, explanation }, null, 2)}\n`);
    }
  }
}
