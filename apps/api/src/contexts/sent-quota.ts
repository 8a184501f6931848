import { type Bytes, formatBytes, KilnError } from '#std';

/** What clients of a project may still send. */
export interface Room {
  readonly leftBytes: number;
  readonly limitBytes: number;
}

export const refused = ({ limitBytes }: Room): KilnError =>
  new KilnError(
    'LIMIT_EXCEEDED',
    `clients of the project have sent all that it may have at a time: ${formatBytes(limitBytes)}`,
    {
      hint: 'builds of what was sent go on, and what was not used for KILN_RETENTION_HOURS makes room; the operator sets KILN_SENT_PROJECT_MIB',
    },
  );

/** Before anything is read. @throws KilnError LIMIT_EXCEEDED when so much has no room */
export function checkRoom(room: Room, bytes: number): void {
  if (bytes > room.leftBytes) throw refused(room);
}

/** @throws KilnError LIMIT_EXCEEDED, from the stream, before more comes than there is room for */
export async function* withinRoom(source: Bytes, room: Room): Bytes {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.byteLength;
    checkRoom(room, size);
    yield chunk;
  }
}
