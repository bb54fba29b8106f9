// Copy the browser build of Strophe.js, with its licence, from node_modules/ to vendor/, where the page looks for it.

import { copyFile, mkdir, readFile } from "node:fs/promises";

const source = new URL("node_modules/strophe.js/", import.meta.url);
const target = new URL("vendor/", import.meta.url);

await mkdir(target, { recursive: true });
await copyFile(new URL("dist/strophe.umd.min.js", source), new URL("strophe.umd.min.js", target));
await copyFile(new URL("LICENSE.txt", source), new URL("strophe.LICENSE.txt", target));

const { version } = JSON.parse(await readFile(new URL("package.json", source), "utf8"));
console.log(`static/vendor: Strophe.js ${version}`);
