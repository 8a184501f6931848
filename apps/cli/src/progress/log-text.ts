/** Colours and weights: `ESC [ numbers m`. */
const sgr = /\x1b\[[0-9;:]*m/y;
/** Escape sequences: CSI; OSC, DCS, SOS, PM and APC with their text; two-byte ones; the same in C1. */
const escape =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*(?:[0-~]|$)/y;
/** What else would move the cursor or hide text: C0 but tab, DEL, C1, and the marks that turn the direction of text. */
const control = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/**
 * One line of a step's output, fit to be shown: without control sequences, save colours where `colour` is set. Steps are
 * not to be trusted; a terminal obeys what it is sent.
 */
export function cleanLine(line: string, colour: boolean): string {
  let clean = '';
  for (let at = 0; at < line.length; ) {
    const char = line.charAt(at);
    if (!control.test(char)) {
      clean += char;
      at += 1;
      continue;
    }
    sgr.lastIndex = at;
    escape.lastIndex = at;
    const colours = sgr.exec(line)?.[0];
    if (colours !== undefined && colour) clean += colours;
    at += colours?.length ?? escape.exec(line)?.[0].length ?? 1;
  }
  return clean.trimEnd();
}

/** What a terminal would show of a line in which a progress bar went back to its start. */
export function lastState(line: string): string {
  if (!line.includes('\r')) return line;
  return line.split('\r').findLast((part) => part.trim() !== '') ?? '';
}

const MAX_LINE = 64 * 1024;

/** A step's output cut into lines, in whatever pieces it comes. */
export interface CutLines {
  /** that are whole now */
  readonly lines: readonly string[];
  /** what of the last line there is */
  readonly rest: string;
}

export function cutLines(rest: string, text: string): CutLines {
  const parts = (rest + text).split('\n');
  const last = parts.pop() ?? '';
  const lines = parts.map(lastState);
  return last.length > MAX_LINE ? { lines: [...lines, lastState(last)], rest: '' } : { lines, rest: last };
}
