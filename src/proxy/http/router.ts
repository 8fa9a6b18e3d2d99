/** The terminal filter: takes the route's action. */
import { HeaderMap } from '../../http/header-map.ts';
import type { DirectResponseAction, ForwardAction, RedirectAction } from '../../http/routes/route.ts';
import { failureReply } from '../failure.ts';
import type { Exchange } from './exchange.ts';
import { Forward } from './forward.ts';

export interface RouterOptions {
  /** No `x-envoy-*` in requests and responses (`suppress_envoy_headers`). */
  readonly suppressEnvoyHeaders: boolean;
}

/** `ended`: the request has no body, or none that is still to come. */
export function routeRequest(exchange: Exchange, ended: boolean): void {
  const { route } = exchange;
  if (route === undefined) {
    exchange.reply({ status: 404, body: '', details: 'route_not_found', flag: 'NR' });
    return;
  }
  const { action } = route;
  switch (action.kind) {
    case 'forward':
      forwardRequest(exchange, action, ended);
      return;
    case 'redirect':
      redirect(exchange, action);
      return;
    case 'direct-response':
      directResponse(exchange, action);
      return;
    default:
      noCluster(exchange, 503);
  }
}

function redirect(exchange: Exchange, action: RedirectAction): void {
  const headers = new HeaderMap(['location', action.location(exchange)]);
  exchange.route!.responseMutations?.apply(headers, exchange.record);
  exchange.reply({ status: action.status, body: '', details: 'direct_response', headers });
}

function directResponse(exchange: Exchange, action: DirectResponseAction): void {
  const headers = new HeaderMap();
  exchange.route!.responseMutations?.apply(headers, exchange.record);
  exchange.reply({ status: action.status, body: action.body ?? '', details: 'direct_response', headers });
}

function noCluster(exchange: Exchange, status: number): void {
  const failure = failureReply({ kind: 'no-cluster' }, false, status);
  exchange.reply({ status: failure.status, body: failure.body, details: failure.details, flag: failure.flag, ofRoute: true });
}

function forwardRequest(exchange: Exchange, action: ForwardAction, ended: boolean): void {
  const { core, upgrade, record } = exchange;
  if (upgrade !== '') {
    const setting = action.upgrades.get(upgrade);
    if (!(setting ? setting.enabled : core.options.upgrades.get(upgrade))) {
      exchange.reply({ status: 403, body: '', details: 'upgrade_failed', ofRoute: true });
      return;
    }
  }
  const choice = action.choose(exchange);
  const cluster = choice && core.deps.clusters.get(choice.cluster);
  if (!choice || !cluster) {
    noCluster(exchange, action.clusterNotFoundStatus);
    return;
  }
  record.upstreamCluster = cluster.name;
  record.clusterMetadata = cluster.config.metadata?.filterMetadata;
  if (action.idleTimeoutMs !== undefined) exchange.setIdleTimeout(action.idleTimeoutMs);
  const forward = new Forward(exchange, action, choice, cluster, ended);
  exchange.forward = forward;
  forward.start();
}
