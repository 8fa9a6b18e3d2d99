/** Command lines that show a command at work, for its help. */
import { table } from '../lib/table.ts';

export const EXAMPLES: Readonly<Record<string, readonly string[]>> = table({
  up: ['sallyport up examples/egress-http', 'sallyport up mesh/ --learn egress.yaml'],
  run: [
    'sallyport run --allow registry.example.com -- npm ci',
    'sallyport run --policy allowed.yaml --report calls.json -- make test',
    'sallyport run --learn-policy allowed.yaml -- make test',
    'sallyport run mesh/ -- npm test',
  ],
  ui: ['sallyport ui mesh/', 'sallyport ui git:main:mesh', 'sallyport ui --config-dump sidecar.json --config-dump gateway.json'],
  flows: [
    'sallyport flows',
    'sallyport flows --verdict refused',
    "sallyport flows --host '*.example.com' -o json",
    'sallyport flows --run 4242',
  ],
  grant: [
    'sallyport grant api.example.com:443 --for 1h --reason release-12',
    'sallyport grant --list',
    'sallyport grant --revoke grant-1a2b3c4d',
  ],
  audit: ['sallyport audit verify audit/ --key audit.pub'],
  allow: ['sallyport allow registry.example.com tcp://10.0.0.5:6379 > allowed.yaml'],
  proxy: [
    'sallyport proxy --role sidecar --workload shop/cart mesh/',
    'sallyport proxy --role router --workload shop/egress --label app=egress --xds 127.0.0.1:15010',
    'sallyport proxy -c bootstrap.yaml',
  ],
  controller: [
    'sallyport controller mesh/',
    'sallyport controller --kube',
    'sallyport controller --ca ca/ --xds 0 --xds-tls 0.0.0.0:15012 mesh/',
  ],
  agent: [
    'sallyport agent --workload shop/cart --service-account cart --controller 10.0.0.9:15012 --root-cert ca/root-cert.pem --token-file token',
  ],
  bootstrap: ['sallyport bootstrap --role sidecar --workload shop/cart --xds 127.0.0.1:15010 > envoy.yaml'],
  token: ['sallyport token create --ca ca/ --namespace shop --service-account cart --for 24h > token'],
  demo: ['sallyport demo', 'sallyport demo --serve'],
  explain: [
    'sallyport explain -f mesh/ http://www.example.com/',
    'sallyport explain -f mesh/ --from shop/cart POST https://api.example.com/v1',
    'sallyport explain --config-dump sidecar.json --config-dump gateway.json tcp://203.0.113.7:6379',
  ],
  verify: [
    'sallyport verify mesh/',
    'sallyport verify --kube --context staging',
    'sallyport verify --adversary captured mesh/',
    'sallyport verify --statements statements.yaml mesh/',
  ],
  diff: ['sallyport diff old/ new/', 'sallyport diff git:main mesh/', 'sallyport diff mesh/ --kube'],
  describe: ['sallyport describe -f mesh/ workload shop/cart', 'sallyport describe -f mesh/ host www.example.com'],
  schema: ['sallyport schema ServiceEntry'],
  learn: ['sallyport learn access.log > egress.yaml', 'sallyport learn --would-deny mesh/ access.log'],
  convert: ['sallyport convert mesh/ > gateway-api.yaml'],
  inject: ['sallyport inject -f app.yaml | kubectl apply -f -', 'sallyport inject -f app.yaml --mesh-config mesh.yaml --no-native'],
  capture: ['sallyport capture --dry-run', 'sallyport capture --check', 'sallyport capture --exclude-outbound-ports 6379'],
  cni: ['sallyport cni --bin-dir /host/cni/bin --conf-dir /host/cni/net.d'],
  wait: ['sallyport wait --timeout 2m'],
  netpol: ['sallyport netpol mesh/ > network-policies.yaml'],
  analyze: [
    'sallyport analyze mesh/',
    'sallyport analyze --kube',
    'helm template CHART | sallyport analyze -',
    'sallyport analyze -o sarif mesh/',
  ],
  migrate: ['sallyport migrate check --kube', 'sallyport migrate check mesh/'],
  lsp: ['sallyport lsp'],
  completion: ['source <(sallyport completion bash)'],
  'proxy-config': [
    'sallyport proxy-config all',
    'sallyport proxy-config clusters --workload shop/cart mesh/',
    'sallyport proxy-config routes -f dump.json -o json',
  ],
  'proxy-status': ['sallyport proxy-status', 'sallyport proxy-status --controller 10.0.0.9:15021 -o json'],
});
