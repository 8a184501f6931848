/** Apart from what shows them, which takes the whole protocol with it: help is to be quick. */
export const progressModes = ['auto', 'plain', 'tty', 'rawjson', 'quiet'] as const;
export type ProgressMode = (typeof progressModes)[number];
