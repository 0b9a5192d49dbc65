// Bundles the page with three.js into ../rlbot/watch/page. With --check nothing is written: it fails where what lies there
// is not what the sources give.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const target = new URL("../rlbot/watch/page/", import.meta.url);
const source = (name) => new URL(`src/${name}`, import.meta.url);

const bundled = await build({
  entryPoints: [fileURLToPath(source("main.js"))],
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  charset: "ascii",
  legalComments: "none",
  banner: { js: "/* Made by viewer/build.mjs. Holds three.js, MIT licence: see three.LICENSE beside this file. */" },
  write: false,
});
const style = await build({ entryPoints: [fileURLToPath(source("style.css"))], minify: true, write: false });
const made = {
  "viewer.js": bundled.outputFiles[0].contents,
  "viewer.css": style.outputFiles[0].contents,
  "index.html": await readFile(source("index.html")),
  "three.LICENSE": await readFile(new URL("node_modules/three/LICENSE", import.meta.url)),
};
for (const [name, content] of Object.entries(made)) {
  const path = new URL(name, target);
  if (!process.argv.includes("--check")) await writeFile(path, content);
  else if (Buffer.compare(await readFile(path), content)) {
    console.error(`${name} is old: run \`npm run build\` in viewer/`);
    process.exitCode = 1;
  }
}
