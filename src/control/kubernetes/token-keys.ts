/** The keys by which an API server signs the tokens of its service accounts, and who it says it is. */
import { isMapping } from '../../api/decode.ts';
import { type IssuerKeys, publicKeysIn } from '../../ca/tokens.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { SallyportError } from '../../lib/errors.ts';

/** Keys come and go seldom; a new one is in use soon after it is published, ms. */
const AGAIN_MS = 60_000;

/** Resolves with what gives the newest ones. Where they can't be read again the ones before stay. @throws what the API server answers, `jwks-invalid` */
export async function followTokenKeys(client: ApiClient, failed: (error: unknown) => void): Promise<{ keys(): IssuerKeys; close(): void }> {
  let keys = await read(client);
  const timer = setInterval(() => {
    read(client).then((newest) => {
      keys = newest;
    }, failed);
  }, AGAIN_MS).unref();
  return { keys: () => keys, close: () => clearInterval(timer) };
}

async function read(client: ApiClient): Promise<IssuerKeys> {
  const [about, set] = await Promise.all([client.get('/.well-known/openid-configuration'), client.get('/openid/v1/jwks')]);
  if (!isMapping(about) || typeof about.issuer !== 'string')
    throw new SallyportError('jwks-invalid', 'the API server does not say who issues the tokens of service accounts');
  return { issuer: about.issuer, keys: publicKeysIn(JSON.stringify(set), 'what the API server answers at /openid/v1/jwks') };
}
