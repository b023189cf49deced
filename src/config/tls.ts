// What the options say about TLS, made into what the connections to the upstream take.

import { createSecureContext } from 'node:tls';
import { type CertificateFiles, readCertificates } from '../resp3/certificates.ts';
import type { ServerTls } from '../resp3/socket.ts';
import type { Config } from './schema.ts';

/** The files that prove to the upstream who heatsink is, and to heatsink who the upstream is. */
export function upstreamFiles({ nodes }: Config): CertificateFiles {
  return { ca: nodes.tlsCa, cert: nodes.tlsCert, key: nodes.tlsKey };
}

/** How TLS is spoken to the upstream; null when it is not. */
export function upstreamTls(config: Config): ServerTls | null {
  if (config.upstream?.tls !== true) return null;
  const { tlsServername: servername, tlsVerify: verify } = config.nodes;
  return { context: createSecureContext(readCertificates(upstreamFiles(config))), servername, verify };
}
