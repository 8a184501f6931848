/** Where a process tells its operator what it does. One line an event; fields never hold secrets. */
export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const silentLogger: Logger = { info() {}, warn() {}, error() {} };

/** JSON lines to `write`; errors among the fields are given as their messages. */
export function jsonLogger(write: (line: string) => void, nowMs: () => number): Logger {
  const at =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      const flat = Object.entries(fields).map(([key, value]) => [
        key,
        value instanceof Error ? (value.stack ?? value.message) : value,
      ]);
      write(
        `${JSON.stringify({ at: new Date(nowMs()).toISOString(), level, message, ...Object.fromEntries(flat) })}\n`,
      );
    };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
