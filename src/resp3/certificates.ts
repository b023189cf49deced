// Certificates, private keys and authorities, read from PEM files and looked at before anybody relies on them.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** The names of PEM files; null where there is none. */
export interface CertificateFiles {
  /** Authorities that the other side's certificate must come from. */
  readonly ca: string | null;
  /** The certificate of this side, with what leads from it to its authority. */
  readonly cert: string | null;
  readonly key: string | null;
}

/** The files' texts, as `tls.createSecureContext` takes them. */
export interface Certificates {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What is wrong with one of the files: the message names the file and the reason. */
export class CertificateError extends Error {
  readonly part: keyof CertificateFiles;

  constructor(part: keyof CertificateFiles, file: string, reason: string) {
    super(`${JSON.stringify(file)} is no use: ${reason}`);
    this.part = part;
  }
}

const BLOCK = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----.+?-----END \1-----/gs;

/** Reads the files. Throws a CertificateError for the first that cannot be used. */
export function readCertificates({ ca, cert, key }: CertificateFiles): Certificates {
  const read: { ca?: string; cert?: string; key?: string } = {};
  if (ca !== null) {
    read.ca = readText('ca', ca);
    parseCertificates('ca', ca, read.ca);
  }
  if (cert !== null && key !== null) {
    read.cert = readText('cert', cert);
    const [own] = parseCertificates('cert', cert, read.cert);
    read.key = readText('key', key);
    if (!own.checkPrivateKey(parseKey(key, read.key)))
      throw new CertificateError('key', key, `it is not the key of the certificate in ${cert}`);
  }
  try {
    createSecureContext(read);
  } catch (error) {
    // Such as a key that is too short for OpenSSL's security level.
    throw new CertificateError(cert === null ? 'ca' : 'cert', cert ?? `${ca}`, reasonOf(error));
  }
  return read;
}

function readText(part: keyof CertificateFiles, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CertificateError(part, file, 'there is no such file');
    if (code === 'EACCES') throw new CertificateError(part, file, 'this user may not read it');
    throw new CertificateError(part, file, message);
  }
}

/** At least one. OpenSSL itself passes over what it cannot read. */
function parseCertificates(part: keyof CertificateFiles, file: string, text: string): X509Certificate[] {
  const blocks = text.match(BLOCK);
  if (blocks === null) throw new CertificateError(part, file, 'it holds no certificate in PEM form');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new CertificateError(part, file, `it holds a broken certificate (${reasonOf(error)})`);
  }
}

function parseKey(file: string, text: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(text))
    throw new CertificateError('key', file, 'it is locked by a passphrase, which heatsink cannot ask for');
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new CertificateError('key', file, `it holds no private key in PEM form (${reasonOf(error)})`);
  }
}

function reasonOf(error: unknown): string {
  const { reason, message } = error as Error & { reason?: string };
  return reason ?? message;
}
