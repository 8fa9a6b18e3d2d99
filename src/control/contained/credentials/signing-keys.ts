/** Keys of AWS as `credential_process` prints them (docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html), for whoever signs. */
import type { SigningKeys } from '../../../lib/contained.ts';
import { objectIn, type Reader } from '../../../lib/credential-value.ts';
import { Redacted } from '../../../lib/redacted.ts';

/** @param accessKeyId where it is written beside; then the text is the secret access key alone */
export function keysReader(accessKeyId: string | undefined): Reader {
  return (text, where) => {
    const { AccessKeyId, SecretAccessKey, SessionToken } =
      accessKeyId === undefined ? objectIn(text) : { AccessKeyId: accessKeyId, SecretAccessKey: text.trim() };
    if (!isKey(AccessKeyId) || !isKey(SecretAccessKey) || !(SessionToken === undefined || isKey(SessionToken)))
      return {
        problem: `${where} holds no keys: write JSON with AccessKeyId and SecretAccessKey, or sigv4.accessKeyId and the secret access key alone`,
      };
    const keys: SigningKeys = {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      ...(SessionToken !== undefined && { sessionToken: SessionToken }),
    };
    return new Redacted(Buffer.from(JSON.stringify(keys)));
  };
}

/** As header fields take it. */
function isKey(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}
