// An authority of the test's own and certificates from it, made by openssl in a directory that goes with the test.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDir } from './children.ts';

export interface CertificatePair {
  /** Names of PEM files. */
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly dir: string;
  /** The authority's own certificate. */
  readonly ca: string;
  /** A certificate for `localhost`, 127.0.0.1 and ::1, or for other names: `DNS:a.example,IP:10.0.0.1`. */
  issue(name: string, names?: string): CertificatePair;
  remove(): void;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function createAuthority(name = 'test authority'): Authority {
  const dir = temporaryDir('tls');
  const file = (end: string) => join(dir, end);
  const ca = file('ca.crt');
  openssl(
    'req',
    '-x509',
    ...KEY,
    '-keyout',
    file('ca.key'),
    '-out',
    ca,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  return {
    dir,
    ca,
    issue(owner, names = 'DNS:localhost,IP:127.0.0.1,IP:::1') {
      const [cert, key] = [file(`${owner}.crt`), file(`${owner}.key`)];
      const signed = [
        '-CA',
        ca,
        '-CAkey',
        file('ca.key'),
        '-days',
        '2',
        '-addext',
        `subjectAltName=${names}`,
      ];
      openssl('req', '-x509', ...KEY, '-keyout', key, '-out', cert, '-subj', `/CN=${owner}`, ...signed);
      return { cert, key };
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
