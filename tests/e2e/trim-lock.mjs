// Takes the dependencies of converse.js out of package-lock.json: the pages use its bundle, which needs none, and
// one of them is a link into the package itself, which npm 9 (Debian 12) cannot install.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
const { packages } = lock;
delete packages['node_modules/converse.js'].dependencies;

const wanted = new Set(['']);
const names = (entry) => Object.keys({ ...entry.dependencies, ...entry.peerDependencies, ...entry.optionalDependencies });
const want = (from, entry) => {
  for (const name of names(entry)) {
    for (let at = from; ; at = at.slice(0, Math.max(at.lastIndexOf('/node_modules/'), 0))) {
      const key = `${at ? `${at}/` : ''}node_modules/${name}`;
      if (key in packages) {
        if (!wanted.has(key)) {
          wanted.add(key);
          want(key, packages[key]);
        }
        break;
      }
      if (!at) break;
    }
  }
};
want('', packages['']);
for (const key of Object.keys(packages)) if (!wanted.has(key)) delete packages[key];
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
execFileSync('npm', ['ci', '--dry-run'], { cwd: new URL('.', import.meta.url) }); // fails where something is missing
