/** What a server or client behind ours reads and behind Envoy does not, each with its reason. Whatever is listed and no longer differs fails the run. */

const UPGRADE_WITH_BODY =
  'A request for an upgrade that has a body is an ordinary request here and keeps its frame; Envoy opens the upgrade, and what of the body goes on is no request.';
const FOR_THE_PROXY = 'Credentials for the proxy go no further (RFC 9110 §11.7.2); Envoy passes them on.';
const ONE_HOP = 'Fields of one hop go no further (RFC 9110 §7.6.1); Envoy passes those of a response on.';

/** By the name of the deviation. */
export const LISTED_REQUESTS: Readonly<Record<string, string>> = {
  'fields Proxy-Authorization: a\\r\\n': FOR_THE_PROXY,
  'framing Connection: upgrade\\r\\nUpgrade: websocket\\r\\nContent-Length: 1\\r\\n a': UPGRADE_WITH_BODY,
  'framing Connection: upgrade\\r\\nUpgrade: websocket\\r… (69) 1\\r\\na\\r\\n0\\r\\n\\r\\n': UPGRADE_WITH_BODY,
};

export const LISTED_RESPONSES: Readonly<Record<string, string>> = {
  'fields connection: x-mine\\r\\nx-mine: 1\\r\\n': ONE_HOP,
  'fields te: trailers\\r\\n': ONE_HOP,
};

export const LISTED_STREAMS: Readonly<Record<string, string>> = {
  'field proxy-authorization': FOR_THE_PROXY,
  'field http2-settings': 'It means something between the two ends of one HTTP/1.1 connection alone (RFC 7540 §3.2.1); Envoy passes it on.',
};

const AS_STRONG = 'As strong as those that Envoy takes by default; `ecdh_curves` narrows both.';

/** By what is offered alone. */
export const LISTED_HANDSHAKES: Readonly<Record<string, string>> = {
  'curve X448': AS_STRONG,
  'curve P-384': AS_STRONG,
  'curve P-521': AS_STRONG,
  'curve ffdhe2048': AS_STRONG,
};
