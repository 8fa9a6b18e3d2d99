/** Configurations of nginx (the upstream, and a proxy to compare with) and HAProxy. */

const BODY_BYTES = 256;

/** Answers every request with 256 bytes, over HTTP, TLS and HTTP/2, calls of gRPC with a message and trailers, and has one big file for throughput. */
export function nginxUpstream(folder: string, port: number, tlsPort: number, http2Port: number): string {
  const answers = `location / { default_type text/plain; return 200 '${'x'.repeat(BODY_BYTES)}'; }
    location = /bench.Echo/Call { default_type application/grpc; add_trailer grpc-status 0; return 200 '${'x'.repeat(16)}'; }
    location ~ ^/(big|huge)$ { root ${folder}; sendfile on; sendfile_max_chunk 1m; }
    keepalive_requests 1000000000; keepalive_timeout 1h; access_log off;`;
  return `daemon off; worker_processes 1; pid ${folder}/nginx-upstream.pid; error_log ${folder}/nginx-upstream.err;
events { worker_connections 8192; }
http {
  ${temporaryPaths(folder)}
  server { listen 127.0.0.1:${port} backlog=4096; ${answers} }
  server { listen 127.0.0.1:${http2Port} http2 backlog=4096; http2_max_concurrent_streams 1024; ${answers} }
  server { listen 127.0.0.1:${tlsPort} ssl backlog=4096; ssl_certificate ${folder}/upstream.crt; ssl_certificate_key ${folder}/upstream.key; ${answers} }
}
`;
}

export function nginxProxy(
  folder: string,
  ports: { http: number; tls: number; termination: number; handshakes: number },
  upstream: { http: number; tls: number },
): string {
  const forward = (scheme: string) => `location / {
      proxy_pass ${scheme}://up_${scheme}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Request-Id $request_id;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate ${folder}/upstream.crt; proxy_ssl_name upstream.test; proxy_ssl_server_name on;
    }
    keepalive_requests 1000000000; access_log ${folder}/nginx.access.log;`;
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.err;
events { worker_connections 8192; }
http {
  ${temporaryPaths(folder)}
  upstream up_http { server 127.0.0.1:${upstream.http}; keepalive 1024; keepalive_requests 1000000000; }
  upstream up_https { server 127.0.0.1:${upstream.tls}; keepalive 1024; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${ports.http} backlog=4096; ${forward('http')} }
  server { listen 127.0.0.1:${ports.tls} backlog=4096; ${forward('https')} }
  ssl_certificate ${folder}/upstream.crt; ssl_certificate_key ${folder}/upstream.key;
  server { listen 127.0.0.1:${ports.termination} ssl backlog=4096; ${forward('http')} }
  server { listen 127.0.0.1:${ports.handshakes} ssl backlog=4096; ssl_session_tickets off; ssl_session_cache off; ${forward('http')} }
}
`;
}

function temporaryPaths(folder: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/nginx-tmp;`).join(' ');
}

export function haproxyProxy(
  folder: string,
  ports: { http: number; tls: number; tcp: number; termination: number; handshakes: number },
  upstream: { http: number; tls: number },
): string {
  return `global
  nbthread 1
  maxconn 8000
  tune.ssl.cachesize 0
  log stdout format raw local0
defaults
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend http
  mode http
  log global
  option httplog
  option forwardfor
  bind 127.0.0.1:${ports.http}
  bind 127.0.0.1:${ports.termination} ssl crt ${folder}/upstream.pem
  bind 127.0.0.1:${ports.handshakes} ssl crt ${folder}/upstream.pem no-tls-tickets
  default_backend http
backend http
  mode http
  http-reuse always
  server up 127.0.0.1:${upstream.http}
frontend tls
  mode http
  log global
  option httplog
  option forwardfor
  bind 127.0.0.1:${ports.tls}
  default_backend tls
backend tls
  mode http
  http-reuse always
  server up 127.0.0.1:${upstream.tls} ssl verify required ca-file ${folder}/upstream.crt sni str(upstream.test) verifyhost upstream.test
frontend tcp
  mode tcp
  log global
  option tcplog
  bind 127.0.0.1:${ports.tcp}
  default_backend tcp
backend tcp
  mode tcp
  server up 127.0.0.1:${upstream.http}
`;
}
