/** What requests that this program makes for its own sake have in common. */
import type { IncomingMessage } from 'node:http';

/** Node's own roots, those of NODE_EXTRA_CA_CERTS and those of the system. */
export function roots(): string[] {
  const { getCACertificates } = process.getBuiltinModule('node:tls');
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

/** The whole body as UTF-8. Rejects where it is cut off, or longer than so many bytes. */
export async function boundedText(response: IncomingMessage, mostBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    // Leaving the loop closes the connection.
    if (length > mostBytes) throw new Error(`it answers with more than ${mostBytes} bytes`);
  }
  if (!response.complete) throw new Error('its answer is cut off');
  return Buffer.concat(parts).toString('utf8');
}

/** Why a request failed that was given so much time. */
export function failureText(error: unknown, signal: AbortSignal, timeoutMs: number): string {
  if (signal.aborted) return `no answer within ${timeoutMs / 1000} s`;
  const { message, code } = error as { message?: string; code?: string };
  return message || code || String(error);
}
