/**
 * `sallyport proxy --xds` at Istio's own control plane: the call table's configurations, applied to a real API server, make every call come out as it was recorded of
 * Istio's control plane and Envoy. `CALLS=REGEX` chooses cases by their `group/name`.
 */
import { after, before, describe, test } from 'node:test';
import { loadCases } from '../calls/cases.ts';
import { check } from '../calls/check.ts';
import { needs } from '../integration/tools.ts';
import { needsIstiod } from './istiod.ts';
import { IstiodMesh } from './istiod-mesh.ts';

const skip = needsIstiod() || needs('openssl');
/** Of kinds of the Gateway API on which istiod does not act with the CRDs of this API server. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'gwapi-backend-tls-policy',
  'gwapi-grpc-route',
  'gwapi-tcp-route',
  'gwapi-tls-passthrough',
]);
const cases = loadCases().filter(({ name }) => !WITHOUT_EFFECT.has(name));
const chosen = (all: RegExp) =>
  cases.filter(({ group, name }) => (process.env.CALLS ? new RegExp(process.env.CALLS) : all).test(`${group}/${name}`));

for (const [protocol, all] of [
  ['delta', /^/],
  ['sotw', /^(?:egress|registry)\//],
] as const) {
  describe(`the call table by Istio's control plane (${protocol})`, { skip, timeout: 1_800_000 }, () => {
    let mesh: IstiodMesh;

    before(
      async () => {
        mesh = await IstiodMesh.start(protocol);
      },
      { timeout: 900_000 },
    );
    after(() => mesh?.stop());

    for (const each of chosen(all)) {
      test(`${each.group}: ${each.name}`, async (t) => {
        await mesh.apply(each);
        for (const call of each.calls) await t.test(call.name, () => check((made) => mesh.perform(made), 'istiod', each, call));
      });
    }
  });
}
