import { messageOf, systemCode } from '#std';

/** Why no connection came about, as people say it. */
const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name does not resolve',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'no answer',
  UND_ERR_CONNECT_TIMEOUT: 'no answer',
  EPROTO: 'it does not speak TLS; write http:// if that is meant',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; write http:// if that is meant',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS; write http:// if that is meant',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'its version of TLS is too old or too new',
  ERR_TLS_PROTOCOL_VERSION_CONFLICT: 'its version of TLS is too old or too new',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is the clock right?',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not trusted; NODE_EXTRA_CA_CERTS names more authorities',
  HPE_INVALID_CONSTANT: 'what answers there does not speak HTTP; write https:// if that is meant',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted; NODE_EXTRA_CA_CERTS names more authorities',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted; NODE_EXTRA_CA_CERTS names more authorities',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not trusted; NODE_EXTRA_CA_CERTS names more authorities',
};

/** Why nobody was reached; undefined where somebody was, and the connection broke. */
export function whyUnreachable(cause: unknown): string | undefined {
  return refusalOf(cause) ?? unreachable[systemCode(cause) ?? ''];
}

/** What a proxy says instead of letting us through. */
function refusalOf(cause: unknown): string | undefined {
  const [, status] = /^Proxy response \((\d+)\)/.exec(messageOf(cause)) ?? [];
  return status === undefined ? undefined : `the proxy answered ${status}`;
}
