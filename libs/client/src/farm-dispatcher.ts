import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { KilnError } from '#std';

/** As HTTP_PROXY, HTTPS_PROXY and NO_PROXY have it; empty where there is none. */
export interface ProxySettings {
  readonly http: string;
  readonly https: string;
  readonly none: string;
}

export interface Way {
  readonly dispatcher: Dispatcher;
  /** scheme and host of the proxy on it, for people */
  readonly proxy: string | undefined;
}

/**
 * How requests get to a farm. Loopback is never reached through a proxy, whatever the settings say.
 * @throws KilnError INVALID_ARGUMENT for a proxy that is no URL
 */
export function wayTo(baseUrl: string, settings: ProxySettings | undefined): Way {
  const url = URL.parse(baseUrl);
  const given = url?.protocol === 'https:' ? settings?.https || settings?.http : settings?.http;
  if (url === null || settings === undefined || given === undefined || given === '' || isLoopback(baseUrl))
    return { dispatcher: new Agent(), proxy: undefined };
  const { http, https, none } = settings;
  try {
    const proxy = new URL(given).origin;
    return { dispatcher: new EnvHttpProxyAgent({ httpProxy: http, httpsProxy: https, noProxy: none }), proxy };
  } catch {
    // What was given may hold a password.
    throw new KilnError('INVALID_ARGUMENT', 'the proxy of HTTPS_PROXY or HTTP_PROXY is no URL', {
      hint: 'write it as http://proxy.example.com:3128',
    });
  }
}

/** Whether what is sent to a URL stays on this machine. */
export function isLoopback(url: string): boolean {
  const host = URL.parse(url)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
