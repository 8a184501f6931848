import { invalid } from '../invalid.ts';

/** Of Linux, without SIG. */
const names = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP ' +
    'TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);
/** RTMIN+1 to RTMIN+15, and RTMAX-14 to RTMAX-1. */
const realTime = /^RT(?:MIN\+(?:[1-9]|1[0-5])|MAX-(?:[1-9]|1[0-4]))$/;

/** @throws KilnError DOCKERFILE_INVALID */
export function checkSignal(text: string): void {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const number = /^[+-]?\d{1,9}$/.test(text) && Number(text) !== 0;
  if (number || names.has(name) || realTime.test(name)) return;
  throw invalid(`invalid signal: ${text}`, { hint: 'write a name such as SIGTERM, or a number' });
}
