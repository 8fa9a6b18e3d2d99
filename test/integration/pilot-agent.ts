/** Istio's own agent with a stock Envoy, for tests: the binary that PILOT_AGENT names, or the one that the lab beside the repository builds. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labBinary, needed } from '../support/lab.ts';
import { Program } from './cli/program.ts';

export function findPilotAgent(): string | undefined {
  const path = process.env.PILOT_AGENT ?? labBinary('pilot-agent');
  return path !== undefined && existsSync(path) ? path : undefined;
}

export function needsPilotAgent(): string | false {
  return needed(findPilotAgent() !== undefined, 'there is no pilot-agent: set PILOT_AGENT, or build it with ../shared/kube/build.sh istio');
}

/** What the agent makes Envoy's bootstrap of (a template of Go): as much of Istio's as a stock Envoy needs to have all from the agent. */
const BOOTSTRAP = `{
  "node": { "id": "{{ .nodeID }}", "cluster": "{{ .cluster }}", "metadata": {{ .meta_json_str }} },
  "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": {{ .config.ProxyAdminPort }} } } },
  "dynamic_resources": {
    "lds_config": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
    "cds_config": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
    "ads_config": {
      "api_type": "{{ .xds_type }}", "set_node_on_first_message_only": true, "transport_api_version": "V3",
      "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }]
    }
  },
  "static_resources": {
    "clusters": [{
      "name": "xds-grpc", "type": "STATIC", "connect_timeout": "1s",
      "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          "explicit_http_config": { "http2_protocol_options": {} }
        }
      },
      "load_assignment": {
        "cluster_name": "xds-grpc",
        "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "pipe": { "path": "{{ .config.ConfigPath }}/XDS" } } } }] }]
      }
    }]
  }
}
`;

export interface PilotAgentOptions {
  /** A folder of its own, in which it runs: its paths are relative. */
  readonly folder: string;
  readonly envoy: string;
  /** Of the namespace shop: also its service account, and its label `app`. */
  readonly name: string;
  /** Ports: of the controller, of its own status, of Envoy's admin endpoint. */
  readonly controller: number;
  readonly status: number;
  readonly admin: number;
  readonly rootCert: string;
  readonly tokenFile: string;
}

/** Path of the socket, in its folder, at which it serves SDS. */
export const SDS_SOCKET = 'var/run/secrets/workload-spiffe-uds/socket';

export function startPilotAgent(options: PilotAgentOptions): Program {
  const { folder, envoy, name, controller, status, admin, rootCert, tokenFile } = options;
  for (const each of ['var/run/secrets/tokens', 'etc/istio/proxy', 'etc/istio/pod']) mkdirSync(join(folder, each), { recursive: true });
  copyFileSync(tokenFile, join(folder, 'var/run/secrets/tokens/istio-token'));
  writeFileSync(join(folder, 'etc/istio/pod/labels'), `app="${name}"\n`);
  writeFileSync(join(folder, 'etc/istio/pod/annotations'), '');
  writeFileSync(join(folder, 'bootstrap.json'), BOOTSTRAP);
  const config = {
    discoveryAddress: `localhost:${controller}`,
    binaryPath: envoy,
    configPath: './etc/istio/proxy',
    statusPort: status,
    proxyAdminPort: admin,
    proxyBootstrapTemplatePath: './bootstrap.json',
    terminationDrainDuration: '1s',
  };
  const environment = {
    PROXY_CONFIG: JSON.stringify(config),
    POD_NAME: `${name}-1`,
    POD_NAMESPACE: 'shop',
    SERVICE_ACCOUNT: name,
    INSTANCE_IP: '127.0.0.1',
    CA_ADDR: `localhost:${controller}`,
    CA_ROOT_CA: rootCert,
    XDS_ROOT_CA: rootCert,
    PILOT_CERT_PROVIDER: 'custom',
    JWT_POLICY: 'third-party-jwt',
    SECRET_TTL: '1h',
  };
  const assignments = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  const argv = ['proxy', 'router', '--domain', 'shop.svc.cluster.local', '--concurrency', '1'];
  return new Program([...assignments, findPilotAgent()!, ...argv], ['env', '-C', folder]);
}
