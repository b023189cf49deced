// Options that are fine by themselves and do not fit together, or name files that cannot be used.

import { CertificateError, type CertificateFiles, readCertificates } from '../resp3/certificates.ts';
import type { Config, OptionPath } from './schema.ts';
import { upstreamFiles } from './tls.ts';

export interface Misfit {
  readonly path: OptionPath;
  readonly problem: string;
}

/** Reads the certificate files as well. Empty when nothing is wrong. */
export function findMisfits(config: Config): Misfit[] {
  const misfits = pairs(config);
  return misfits.length > 0 ? misfits : readable(upstreamFiles(config));
}

const PATH = { ca: 'nodes.tlsCa', cert: 'nodes.tlsCert', key: 'nodes.tlsKey' } as const;

function pairs({ upstream, nodes }: Config): Misfit[] {
  const { tlsCa, tlsCert, tlsKey, tlsServername, tlsVerify } = nodes;
  const misfits =
    upstream?.tls === true
      ? []
      : given(
          {
            'nodes.tlsCa': tlsCa,
            'nodes.tlsCert': tlsCert,
            'nodes.tlsKey': tlsKey,
            'nodes.tlsServername': tlsServername,
            'nodes.tlsVerify': tlsVerify ? null : 'off',
          },
          'it needs an upstream with TLS, such as rediss://',
        );
  if (tlsCert !== null && tlsKey === null)
    misfits.push({ path: PATH.cert, problem: 'it needs --nodes-tls-key as well' });
  if (tlsKey !== null && tlsCert === null)
    misfits.push({ path: PATH.key, problem: 'it needs --nodes-tls-cert as well' });
  return misfits;
}

/** The same problem for each option that has a value. */
function given(options: Partial<Record<OptionPath, unknown>>, problem: string): Misfit[] {
  const paths = Object.keys(options) as OptionPath[];
  return paths.filter((path) => options[path] !== null).map((path) => ({ path, problem }));
}

function readable(files: CertificateFiles): Misfit[] {
  try {
    readCertificates(files);
    return [];
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return [{ path: PATH[error.part], problem: error.message }];
  }
}
