/**
 * Who somebody with a token is (`authentication.k8s.io/v1` TokenReview), and which namespaces they may see (`authorization.k8s.io/v1`
 * SubjectAccessReview): those in which they may list both VirtualServices and pods, what the mesh is told and who is in it. Nothing that an API server says is
 * kept here.
 */
import { isMapping } from '../../api/decode.ts';
import type { ClusterAccess } from '../../config/kubernetes/access.ts';
import { ApiClient } from '../../config/kubernetes/client.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { Redacted } from '../../lib/redacted.ts';

const TOKEN_REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews';
const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
/** In which the API server has to answer, ms. */
const REVIEW_MS = 5_000;
/** So many questions at once, of one person. */
const AT_ONCE = 8;

/** What has to be allowed in a namespace, in the order in which it is asked. */
export const NEEDED = [
  { group: 'networking.istio.io', resource: 'virtualservices', verb: 'list' },
  { group: '', resource: 'pods', verb: 'list' },
] as const;

/** As the API server knows them: its answers are handed on as they are. */
interface User {
  readonly username: string;
  readonly [field: string]: unknown;
}

export interface KnownPerson {
  readonly name: string;
  /** The namespaces that they may see; `all`: whatever there is, and what is in none. */
  readonly sees: 'all' | ReadonlySet<string>;
}

export class ClusterPeople {
  readonly #client: ApiClient;

  constructor(access: ClusterAccess) {
    this.#client = new ApiClient(access, { silenceMs: REVIEW_MS });
  }

  /**
   * Undefined for a token that the API server does not take. Rejects with `not-reviewed` where it does not say.
   * @param namespaces which of them is asked about
   */
  async know(token: Redacted, namespaces: readonly string[]): Promise<KnownPerson | undefined> {
    const user = await this.#userOf(token);
    if (!user) return undefined;
    if (await this.#sees(user, '')) return { name: user.username, sees: 'all' };
    const left = [...namespaces];
    const seen = new Set<string>();
    const worker = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) if (await this.#sees(user, next)) seen.add(next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return { name: user.username, sees: seen };
  }

  close(): void {
    this.#client.close();
  }

  async #userOf(token: Redacted): Promise<User | undefined> {
    const spec = { token: token.revealText() };
    const { authenticated, user } = await this.#review(TOKEN_REVIEWS, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec,
    });
    return authenticated === true && isMapping(user) && typeof user.username === 'string' ? (user as unknown as User) : undefined;
  }

  /** @param namespace empty for all */
  async #sees({ username, groups, uid, extra }: User, namespace: string): Promise<boolean> {
    for (const attributes of NEEDED) {
      const spec = { user: username, groups, uid, extra, resourceAttributes: { ...attributes, namespace } };
      const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
      const { allowed } = await this.#review(ACCESS_REVIEWS, review);
      if (allowed !== true) return false;
    }
    return true;
  }

  async #review(path: string, review: object): Promise<Record<string, unknown>> {
    try {
      const answer = await this.#client.send('POST', path, review);
      return isMapping(answer) && isMapping(answer.status) ? answer.status : {};
    } catch (cause) {
      throw new SallyportError('not-reviewed', `the API server does not say who may see what: ${messageOf(cause)}`, { cause });
    }
  }
}
