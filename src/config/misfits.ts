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
  const sides = [clientSide(config), upstreamSide(config)];
  const read = sides.flatMap(({ misfits, files, path }) => (misfits.length > 0 ? [] : readable(files, path)));
  return [
    ...sides.flatMap(({ misfits }) => misfits),
    ...read,
    ...sentinelOptions(config),
    ...invalidatorOptions(config),
  ];
}

interface Side {
  readonly misfits: Misfit[];
  readonly files: CertificateFiles;
  readonly path: Readonly<Record<keyof CertificateFiles, OptionPath>>;
}

function clientSide({ tls }: Config): Side {
  const path = { ca: 'tls.ca', cert: 'tls.cert', key: 'tls.key' } as const;
  const misfits =
    tls.cert === null
      ? given(
          { 'tls.key': tls.key, 'tls.ca': tls.ca, 'tls.listen': tls.listen },
          'it needs --tls-cert as well',
        )
      : [];
  if (tls.cert !== null && tls.key === null)
    misfits.push({ path: path.cert, problem: 'it needs --tls-key as well' });
  if (tls.cert !== null && tls.ca === null && tls.clientAuth !== 'no') {
    const problem =
      'clients must show a certificate: name its authorities with --tls-ca, or set --tls-client-auth no';
    misfits.push({ path: path.cert, problem });
  }
  return { misfits, files: tls, path };
}

function upstreamSide(config: Config): Side {
  const { tlsCa, tlsCert, tlsKey, tlsServername, tlsVerify } = config.nodes;
  const path = { ca: 'nodes.tlsCa', cert: 'nodes.tlsCert', key: 'nodes.tlsKey' } as const;
  const misfits =
    config.upstream?.tls === true || config.drain.redis?.tls === true
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
    misfits.push({ path: path.cert, problem: 'it needs --nodes-tls-key as well' });
  if (tlsKey !== null && tlsCert === null)
    misfits.push({ path: path.key, problem: 'it needs --nodes-tls-cert as well' });
  return { misfits, files: upstreamFiles(config), path };
}

function sentinelOptions({ upstream, nodes, drain }: Config): Misfit[] {
  const { sentinelUsername, sentinelPassword } = nodes;
  if (upstream?.kind !== 'sentinel' && drain.redis?.kind !== 'sentinel') {
    const options = {
      'nodes.sentinelUsername': sentinelUsername,
      'nodes.sentinelPassword': sentinelPassword,
    };
    return given(options, 'it needs an upstream with sentinels: redis+sentinel://');
  }
  if (sentinelUsername === null || sentinelPassword !== null) return [];
  return [{ path: 'nodes.sentinelUsername', problem: 'it needs --sentinel-password as well' }];
}

function invalidatorOptions({ invalidator }: Config): Misfit[] {
  const { postgres, channel, delete: templates, sweep, sweepDelete } = invalidator;
  if (postgres === null) {
    const options = {
      'invalidator.channel': channel[0] ?? null,
      'invalidator.delete': templates[0] ?? null,
      'invalidator.sweep': sweep,
      'invalidator.sweepDelete': sweepDelete,
    };
    return given(options, 'it needs --invalidator-postgres as well');
  }
  const path = 'invalidator.postgres';
  const missing = [
    ...(channel.length === 0 ? ['--invalidator-channel'] : []),
    ...(templates.length === 0 ? ['--invalidator-delete'] : []),
  ];
  return missing.map((flag) => ({ path, problem: `it needs ${flag} as well` }));
}

/** The same problem for each option that has a value. */
function given(options: Partial<Record<OptionPath, unknown>>, problem: string): Misfit[] {
  const paths = Object.keys(options) as OptionPath[];
  return paths.filter((path) => options[path] !== null).map((path) => ({ path, problem }));
}

function readable(files: CertificateFiles, path: Side['path']): Misfit[] {
  try {
    readCertificates(files);
    return [];
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return [{ path: path[error.part], problem: error.message }];
  }
}
