import { S3Client } from '@aws-sdk/client-s3';
import type { StoreLocation } from './store-location.ts';

const CONNECT_MS = 5_000;
/** Of silence, within a request or a body. */
const SILENCE_MS = 30_000;
const SOCKETS = 64;
/** By the SDK, of one request. */
const ATTEMPTS = 4;

/** A client as S3ContentStore needs it. */
export function s3Client({ region, endpoint, pathStyle }: Extract<StoreLocation, { kind: 's3' }>): S3Client {
  return new S3Client({
    ...(region === undefined ? (endpoint === undefined ? {} : { region: 'us-east-1' }) : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: pathStyle,
    maxAttempts: ATTEMPTS,
    // Compatible servers do not know the checksums that newer clients send unasked.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      requestTimeout: SILENCE_MS,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: SOCKETS },
    },
  });
}
