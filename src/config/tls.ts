// What the options say about TLS, made into what the listener and the connections to the upstream take, and made
// again when the files have changed.

import { createSecureContext } from 'node:tls';
import type { Door, Listener } from '../proxy/listener.ts';
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
  return { context: upstreamContext(config), servername, verify };
}

/** Where clients may connect: `listen` first, and the one that speaks TLS last. */
export function doorsOf({ listen, tls }: Config): Door[] {
  if (tls.cert === null) return [{ at: listen, tls: null }];
  const secured = { certificates: readCertificates(tls), clientAuth: tls.clientAuth };
  if (tls.listen === null) return [{ at: listen, tls: secured }];
  return [
    { at: listen, tls: null },
    { at: tls.listen, tls: secured },
  ];
}

/**
 * Reads the certificates of both sides again, for connections to come. Whatever is wrong with the files of one side is
 * told to `refused`, and that side keeps what it has.
 */
export function renewCertificates(
  config: Config,
  listener: Listener,
  upstream: ServerTls | null,
  told: { renewed(side: string): void; refused(side: string, reason: string): void },
): void {
  const renew = (side: string, action: () => void) => {
    try {
      action();
      told.renewed(side);
    } catch (error) {
      told.refused(side, (error as Error).message);
    }
  };
  if (config.tls.cert !== null) renew('clients', () => listener.renew(readCertificates(config.tls)));
  if (upstream !== null) {
    renew('upstream', () => {
      upstream.context = upstreamContext(config);
    });
  }
}

function upstreamContext(config: Config) {
  return createSecureContext(readCertificates(upstreamFiles(config)));
}
