/** Whether an API server takes a token now (`authentication.k8s.io/v1` TokenReview): one that is bound to a pod ends with the pod, whatever its signature says. */
import { isMapping } from '../../api/decode.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';

/** Why the token is not taken; undefined where it is. Rejects with `token-not-reviewed` where the server does not say. */
export async function reviewToken(client: ApiClient, token: string, audience: string): Promise<string | undefined> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } };
  let answer: unknown;
  try {
    answer = await client.send('POST', PATH, review);
  } catch (cause) {
    throw new SallyportError('token-not-reviewed', `the API server does not say whether it takes a token: ${messageOf(cause)}`, { cause });
  }
  const status = isMapping(answer) && isMapping(answer.status) ? answer.status : {};
  if (status.authenticated !== true) return 'the API server does not take it: its pod or service account may be gone';
  // A server that knows nothing of audiences says nothing of them, and has not looked.
  const audiences: readonly unknown[] = Array.isArray(status.audiences) ? status.audiences : [];
  return audiences.includes(audience) ? undefined : `the API server does not take it for the audience "${audience}"`;
}
