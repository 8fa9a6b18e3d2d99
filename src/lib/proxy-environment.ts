/** How the environment variables begin that hold credentials for forward proxies: tunnels may read them, and nothing else that a configuration writes. */
export const PROXY_ENVIRONMENT = 'SALLYPORT_PROXY_';
