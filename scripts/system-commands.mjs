// Installs missing system commands by apt where that is possible, and says what to install where it is not.
// Debian's packages of servers start a service; this keeps them from it, as only the program is wanted.
// Plain JavaScript for Node 20, as it runs before anything is installed.

import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ProgressError, runWithProgress, say } from './progress.mjs';

/** Debian's package of each command, and the service that comes with it. */
const PACKAGES = {
  'redis-server': { apt: 'redis-server', brew: 'redis', service: 'redis-server' },
  'redis-cli': { apt: 'redis-tools', brew: 'redis' },
  'redis-benchmark': { apt: 'redis-tools', brew: 'redis' },
  openssl: { apt: 'openssl', brew: 'openssl' },
  promtool: { apt: 'prometheus', brew: 'prometheus', service: 'prometheus' },
  postgres: { apt: 'postgresql', brew: 'postgresql', service: 'postgresql' },
  mariadbd: { apt: 'mariadb-server', brew: 'mariadb', service: 'mariadb' },
  haproxy: { apt: 'haproxy', brew: 'haproxy', service: 'haproxy' },
  chromium: { apt: 'chromium', brew: 'chromium' },
  tmux: { apt: 'tmux', brew: 'tmux' },
  nutcracker: { apt: 'nutcracker', brew: 'twemproxy', service: 'nutcracker' },
};

/** Makes the commands available. Throws a ProgressError that says what to install, unless they are optional. */
export async function installCommands(commands, { optional }) {
  const missing = commands.filter((command) => !isOnPath(command));
  if (missing.length === 0) return;
  const packages = missing.map((command) => PACKAGES[command]);
  if (process.getuid?.() === 0 && isOnPath('apt-get')) {
    await installByApt(packages);
  } else if (!optional) {
    throw new ProgressError(advice(missing, packages));
  }
}

function isOnPath(command) {
  // Debian keeps some servers in sbin, which is not on everybody's PATH.
  const directories = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...['/usr/local/sbin', '/usr/sbin', '/sbin'],
    ...postgresDirectories(),
  ];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian keeps the programs of PostgreSQL's server in a directory for each version, and off the PATH. */
function postgresDirectories() {
  const root = '/usr/lib/postgresql';
  return existsSync(root) ? readdirSync(root).map((version) => join(root, version, 'bin')) : [];
}

function advice(missing, packages) {
  const names = (manager) => [...new Set(packages.map((entry) => entry[manager]))].join(' ');
  const [noun, verb] = missing.length === 1 ? ['it', 'is'] : ['them', 'are'];
  return (
    `${missing.join(' and ')} ${verb} not installed. Install ${noun} and run this again:\n` +
    `  Debian, Ubuntu: sudo apt-get install ${names('apt')}\n` +
    `  macOS:          brew install ${names('brew')}`
  );
}

async function installByApt(packages) {
  const names = [...new Set(packages.map((entry) => entry.apt))];
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const apt = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300'];
  const allowServices = forbidServices();
  try {
    say('bringing the package lists up to date (apt-get update)');
    // A list that cannot be had may not matter for these packages; if it does, the next step fails and says so.
    await runWithProgress([...apt, 'update'], options).catch((error) => say(error.message));
    say(`installing ${names.join(' and ')} (apt-get install), without starting a service`);
    await runWithProgress([...apt, 'install', '-y', ...names], options);
  } finally {
    allowServices();
  }
  await disableServices(packages);
}

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_TEXT = `#!/bin/sh
# Put here by the set-up of heatsink, so that no service starts while it installs packages. Safe to remove.
exit 101
`;

/** Debian asks this script before it starts a service. The result puts things back as they were. */
function forbidServices() {
  // A policy of the machine's owner stays; one of ours is left of a set-up that was killed.
  if (existsSync(POLICY) && readFileSync(POLICY, 'utf8') !== POLICY_TEXT) return () => {};
  const remove = () => rmSync(POLICY, { force: true });
  const onSignal = () => process.exit(130);
  writeFileSync(POLICY, POLICY_TEXT, { mode: 0o755 });
  process.on('exit', remove);
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return () => {
    process.off('exit', remove);
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    remove();
  };
}

/** The packages enable their services for the next boot; they were not there before, so they are not wanted. */
async function disableServices(packages) {
  if (!existsSync('/run/systemd/system')) return;
  for (const service of packages.flatMap((entry) => entry.service ?? [])) {
    say(`disabling the service ${service}; systemctl enable --now ${service} turns it on`);
    await runWithProgress(['systemctl', 'disable', '--now', service]);
  }
}
