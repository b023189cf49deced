// Makes a fresh checkout ready to run: node_modules as the lock file says, and the system commands named as
// arguments, such as redis-server. npm runs it before other scripts, so it is plain JavaScript for Node 20 without
// dependencies, speaks on standard error alone, and says nothing when there is nothing to do.
//
// Usage: node scripts/setup.mjs [--optional] [COMMAND...]
// With --optional, a command that cannot be installed is no error.

import { accessSync, readFileSync } from 'node:fs';
import { ProgressError, runWithProgress, say } from './progress.mjs';
import { installCommands } from './system-commands.mjs';

const root = new URL('..', import.meta.url);

async function main() {
  if (!packagesAreInstalled()) await installPackages();
  const [optional, commands] = split(process.argv.slice(2));
  await installCommands(commands, { optional });
}

/**
 * Compares the lock file with npm's own record of what it installed, which it writes last. Packages for other
 * platforms are in the lock file alone, all of them optional.
 */
function packagesAreInstalled() {
  try {
    const wanted = readPackages('package-lock.json');
    const installed = readPackages('node_modules/.package-lock.json');
    accessSync(new URL('node_modules/.bin/node', root));
    const same = (name) =>
      installed[name]?.version === wanted[name].version &&
      installed[name].integrity === wanted[name].integrity;
    return Object.keys(wanted).every(
      (name) => name === '' || same(name) || (wanted[name].optional && !installed[name]),
    );
  } catch {
    return false;
  }
}

function readPackages(file) {
  return JSON.parse(readFileSync(new URL(file, root), 'utf8')).packages;
}

async function installPackages() {
  const count = Object.keys(readPackages('package-lock.json')).length - 1;
  say(`installing up to ${count} packages from package-lock.json into node_modules (npm ci)`);
  // The npm that runs this script, where there is one; its own output is shown if it fails.
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const flags = ['ci', '--include=dev', '--no-audit', '--no-fund', '--no-progress', '--loglevel=error'];
  await runWithProgress([...npm, ...flags], { cwd: root });
  if (!packagesAreInstalled()) {
    throw new ProgressError(
      'npm ci ended well, but node_modules is not as package-lock.json says; are install scripts switched off?',
    );
  }
}

function split(args) {
  return [args.includes('--optional'), args.filter((arg) => !arg.startsWith('--'))];
}

main().catch((error) => {
  say(error instanceof ProgressError ? error.message : error.stack);
  process.exit(1);
});
