export const summaryFormats = ['markdown', 'github', 'codequality', 'json'] as const;
export type SummaryFormat = (typeof summaryFormats)[number];
