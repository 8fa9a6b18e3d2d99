/** The methods that Envoy's HTTP/1 parser knows. Any other, and these in lower case, is 400 unless `allow_custom_methods` is set. */
export const HTTP1_METHODS: ReadonlySet<string> = new Set(
  [
    'GET POST PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY',
    'PROPFIND PROPPATCH PURGE QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE',
  ]
    .join(' ')
    .split(' '),
);
