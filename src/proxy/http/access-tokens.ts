/** Access tokens that the proxy asks for itself (OAuth 2.0, client credentials), over the cluster that leads to the endpoint's host. */

import { HeaderMap } from '../../http/header-map.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import type { CredentialSource, TokenSettings } from '../../lib/contained.ts';
import { MOST_BYTES, objectIn, type Source } from '../../lib/credential-value.ts';
import { TOKEN_TIMEOUT_MS, type TokenClient, tokenIn, tokenRequest } from '../../lib/oauth2.ts';
import type { Redacted } from '../../lib/redacted.ts';
import { failed, type Obtained, remembered } from '../../lib/remembered.ts';
import { bindingOf } from '../../xds/match/binding.ts';
import { isOfPolicies } from '../../xds/match/credentials.ts';
import { verifiesServer } from '../../xds/match/verified-tls.ts';
import type { Ask } from '../listener/guard.ts';
import type { Log } from '../log.ts';
import type { ClusterManager } from '../types.ts';

interface Deps {
  /** Who holds values, also those of the clients that ask. */
  readonly values: CredentialSource;
  readonly clusters: ClusterManager;
  readonly ask: Ask;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  readonly log: Log;
}

interface Known {
  readonly source: Source;
  readonly client: Redacted;
  /** Said last; empty while all is well. */
  problem: string;
}

/** More are not in use at a time: what was asked for in another way before may be asked for again. */
const MOST_KNOWN = 1000;

/** The same values, and tokens for the clients among them. A client whose secret is replaced asks anew; without a client nothing that was asked for before is used. */
export function withAccessTokens(deps: Deps): CredentialSource {
  const known = new Map<string, Known>();
  return {
    get(credential, host, done) {
      const { name, token } = credential;
      deps.values.get(credential, host, (client) => {
        if (!token || !client) {
          done(client);
          return;
        }
        const key = JSON.stringify([name, token]);
        let found = known.get(key);
        if (!found?.client.equals(client)) {
          if (known.size >= MOST_KNOWN) known.clear();
          found = { source: tokenSource(token, client, deps), client, problem: '' };
          known.set(key, found);
        }
        const asked = found;
        asked.source((value) => {
          const problem = 'problem' in value ? value.problem : '';
          if (problem !== asked.problem && problem !== '')
            deps.log('error', `no access token can be had for ${host} (${name}), so calls that need it are refused: ${problem}`);
          asked.problem = problem;
          done('problem' in value ? undefined : value);
        });
      });
    },
  };
}

function tokenSource(token: TokenSettings, client: Redacted, deps: Deps): Source {
  const where = `the token endpoint ${token.endpoint}`;
  return remembered((done: (obtained: Obtained) => void) => {
    const { clientId, clientSecret } = objectIn(client.revealText());
    const isClient = typeof clientId === 'string' && typeof clientSecret === 'string';
    const wrong = isClient ? endpointProblem(token, deps.clusters) : 'is to be asked by a client that is none';
    if (!isClient || wrong !== undefined) {
      done(failed(`${where} ${wrong}`));
      return;
    }
    const asked = deps.now();
    deps.ask(callFor(token, { clientId, clientSecret }), (answer) => done(obtainedOf(answer, where, deps.now() - asked)));
  }, deps.now);
}

/** Why the secret may not go there, as a clause; undefined where it may. */
function endpointProblem({ cluster: name, endpoint }: TokenSettings, clusters: ClusterManager): string | undefined {
  const cluster = clusters.get(name);
  if (!cluster) return 'is at no host that this proxy knows';
  const { hostname } = new URL(endpoint);
  const binding = bindingOf(cluster.config.metadata);
  if (binding?.mode !== 'enforce' || binding.hosts.length !== 1 || binding.hosts[0] !== hostname) return `is not where ${name} leads`;
  if (!isOfPolicies(cluster.config.metadata)) return 'is where something else than an EgressPolicy says';
  return verifiesServer(cluster.config, hostname) ? undefined : 'is asked in TLS alone that verifies whose server it is';
}

function callFor(token: TokenSettings, client: TokenClient): SideCall {
  const url = new URL(token.endpoint);
  const { headers, body } = tokenRequest(token, client);
  return {
    cluster: token.cluster,
    method: 'POST',
    path: `${url.pathname}${url.search}`,
    authority: url.host,
    scheme: 'https',
    headers: new HeaderMap(Object.entries(headers).flat()),
    body: Buffer.from(body),
    timeoutMs: TOKEN_TIMEOUT_MS,
    leaves: true,
  };
}

function obtainedOf(answer: SideAnswer | undefined, where: string, tookMs: number): Obtained {
  if (!answer) return failed(`${where} gives no whole answer: within ${TOKEN_TIMEOUT_MS / 1000} s, in TLS that is verified`);
  if (answer.body.length > MOST_BYTES) return failed(`${where} answers with more than ${MOST_BYTES} bytes`);
  return tokenIn({ status: answer.status, text: answer.body.toString('utf8') }, where, tookMs);
}
