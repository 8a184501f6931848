/** https://datatracker.ietf.org/doc/draft-ietf-sshm-ssh-agent/ */
const AGENT_FAILURE = 5;
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;

/** Of one request: what is signed is a kilobyte at most. */
export const MAX_REQUEST_BYTES = 64 * 1024;
/** Of one answer: as OpenSSH's own agent has it. */
export const MAX_ANSWER_BYTES = 256 * 1024;

/** What an agent says to what it does not do. */
export const REFUSAL = Uint8Array.of(AGENT_FAILURE);

/** Listing keys and signing; adding, removing, locking and extensions are the client's own affair. */
export function isAllowedRequest(message: Uint8Array): boolean {
  return message[0] === SIGN_REQUEST || (message[0] === REQUEST_IDENTITIES && message.byteLength === 1);
}

/** A message with its length in front. */
export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + message.byteLength);
  frame.writeUInt32BE(message.byteLength);
  frame.set(message, 4);
  return frame;
}

/** The messages of a stream, without their lengths; one that is too long ends it with a RangeError. */
export async function* messagesOf(
  stream: AsyncIterable<Uint8Array>,
  maxBytes = MAX_REQUEST_BYTES,
): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4) {
      const size = held.readUInt32BE();
      if (size === 0 || size > maxBytes) throw new RangeError(`a message of ${size} bytes`);
      if (held.length < 4 + size) break;
      yield held.subarray(4, 4 + size);
      held = held.subarray(4 + size);
    }
  }
}
