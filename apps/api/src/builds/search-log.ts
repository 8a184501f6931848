import {
  LogLines,
  type LogSearch,
  type LogSearchQuery,
  MAX_FOUND_TEXT,
  type NumberedEvent,
  plainText,
} from '#protocol';

/** Lines that have a text, by their numbers. Holds no more than what it answers with, however long the log is. */
export async function searchLog(
  events: AsyncIterable<NumberedEvent>,
  { text, after, limit }: Omit<LogSearchQuery, 'step'>,
): Promise<LogSearch> {
  const needle = text.toLowerCase();
  const folded = new LogLines();
  const matches: LogSearch['matches'] = [];
  let lines = 0;
  for await (const event of events)
    for (const line of folded.add(event)) {
      lines++;
      if (lines <= after) continue;
      const plain = plainText(line.text);
      const at = plain.toLowerCase().indexOf(needle);
      if (at < 0) continue;
      // One more than is told: something follows.
      if (matches.length === limit) return { matches, lines: lines - 1, next: lines - 1 };
      matches.push({ line: lines, ...line, text: excerpt(plain, at) });
    }
  return { matches, lines, next: null };
}

/** Of a long line what is around the text. */
function excerpt(line: string, at: number): string {
  if (line.length <= MAX_FOUND_TEXT) return line;
  const from = Math.max(0, Math.min(at - MAX_FOUND_TEXT / 4, line.length - MAX_FOUND_TEXT));
  // Its ends may cut a character in two.
  return line.slice(from, from + MAX_FOUND_TEXT).toWellFormed();
}
