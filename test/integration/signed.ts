/** Signatures of AWS (Version 4), judged by another implementation over the request as it came. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';

const aws4 = createRequire(import.meta.url)('aws4') as { sign(request: object, keys: object): { headers: Record<string, string> } };

/** What the request is signed for, or how it is not. */
export async function judged(request: IncomingMessage, secretAccessKey: string): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const body = Buffer.concat(parts);
  const { authorization = '', host } = request.headers;
  const [, id, region, service, names = ''] =
    /^AWS4-HMAC-SHA256 Credential=(\w+)\/\d+\/([\w-]+)\/([\w-]+)\/aws4_request, SignedHeaders=([^,]*)/.exec(authorization) ?? [];
  if (id === undefined) return 'unsigned';
  const stated = request.headers['x-amz-content-sha256'];
  if (stated !== undefined && stated !== 'UNSIGNED-PAYLOAD' && stated !== sha256(body)) return 'another body';
  const headers = Object.fromEntries(names.split(';').map((name) => [name, String(request.headers[name])]));
  const keys = { accessKeyId: id, secretAccessKey };
  const ignored = { extraHeadersToIgnore: { 'content-length': true, 'content-type': !names.includes('content-type') } };
  const { headers: expected } = aws4.sign(
    { service, region, method: request.method, host, path: request.url, headers, body, ...ignored },
    keys,
  );
  const outcome = expected.Authorization === authorization ? 'signed' : `wrong: ${authorization}, not ${expected.Authorization}`;
  return `${outcome} by ${id} for ${service}, ${stated === 'UNSIGNED-PAYLOAD' ? 'without' : 'with'} its body of ${body.length}`;
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
