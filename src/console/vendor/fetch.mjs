#!/usr/bin/env node
// Writes the libraries of the console into this folder, from the packages that npm publishes. A developer runs it after
// a change of a version below; nothing runs it at build or test time.
//   usage: src/console/vendor/fetch.mjs
// Each library becomes one small ES module, and imports the others by relative paths, so that browsers need no import
// map. `vendor.lock` records what came from where, and a test compares it with the files.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const MINIFIER = "esbuild@0.28.2";

/** The file, its package, and the module of the package that it is made from. */
const MODULES = [
  ["preact.js", "preact@10.29.8", "preact"],
  ["hooks.js", "preact@10.29.8", "preact/hooks"],
  ["signals-core.js", "@preact/signals-core@1.14.5", "@preact/signals-core"],
  ["signals.js", "@preact/signals@2.11.4", "@preact/signals"],
  ["htm.js", "htm@3.1.1", "htm"],
  ["graphql-ws.js", "graphql-ws@6.4.2", "graphql-ws/client"],
  ["virtual-core.js", "@tanstack/virtual-core@3.19.11", "@tanstack/virtual-core"],
];

const ICONS = "lucide-static@1.62.0";
const GLYPHS = [
  "alert-triangle", "bar-chart", "bell", "check", "chevron-down", "chevron-left", "chevron-right", "circle-alert",
  "circle-check", "clock", "copy", "download", "external-link", "info", "key", "layout-dashboard", "loader-circle",
  "log-out", "mail", "monitor", "moon", "more-horizontal", "pause", "pencil", "plug", "plus", "refresh-cw", "search",
  "settings", "shield", "sun", "terminal", "trash-2", "user", "users", "x",
];

/** Published as they are, for the explorer; stored compressed, because they are large. */
const EXPLORER = [
  ["graphiql.min.js", "graphiql@4.1.2", "graphiql.min.js"],
  ["graphiql.min.css", "graphiql@4.1.2", "graphiql.min.css"],
  ["react.production.min.js", "react@18.3.1", "umd/react.production.min.js"],
  ["react-dom.production.min.js", "react-dom@18.3.1", "umd/react-dom.production.min.js"],
];

const folder = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), "vendor-"));
const nameOf = (spec) => spec.slice(0, spec.lastIndexOf("@"));
const unique = (list) => [...new Set(list)];
const packages = unique([...MODULES.map(([, spec]) => spec), ICONS, ...EXPLORER.map(([, spec]) => spec)]);
const lock = [];

function write(file, text, spec) {
  writeFileSync(join(folder, file), text);
  const { version, license } = JSON.parse(readFileSync(join(work, "node_modules", nameOf(spec), "package.json")));
  const sha256 = createHash("sha256").update(text).digest("hex");
  lock.push({ file, sha256, package: nameOf(spec), version, licence: license });
}

try {
  writeFileSync(join(work, "package.json"), "{}");
  const flags = ["--prefix", work, "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps", "--save-exact"];
  execFileSync("npm", ["install", ...flags, MINIFIER, ...packages], { stdio: "inherit" });
  const { build } = createRequire(join(work, "package.json"))("esbuild");

  for (const [file, spec, module] of MODULES) {
    const relative = {
      name: "relative",
      setup({ onResolve }) {
        onResolve({ filter: /^[^.]/ }, ({ path, kind }) => {
          const sibling = MODULES.find(([, , name]) => name === path);
          return kind === "import-statement" && sibling
            ? { path: `./${sibling[0]}`, external: true }
            : undefined;
        });
      },
    };
    const { outputFiles } = await build({
      bundle: true,
      define: { "process.env.NODE_ENV": '"production"' },
      entryPoints: [module],
      absWorkingDir: work,
      format: "esm",
      legalComments: "none",
      minify: true,
      plugins: [relative],
      target: "es2022",
      write: false,
    });
    // Each import and the export at the start of a line, as in the modules of the console.
    const text = outputFiles[0].text
      .replace(/^(import\{[^}]*\}from"[^"]*";)+/, (imports) => imports.replaceAll(";", ";\n"))
      .replace(/export\{[^}]*\};\n$/, (exports) => `\n${exports}`);
    write(file, text, spec);
  }

  const symbols = GLYPHS.map((glyph) => {
    const svg = readFileSync(join(work, "node_modules/lucide-static/icons", `${glyph}.svg`), "utf8");
    const shapes = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>")).replace(/\s*\n\s*/g, "");
    return `<symbol id="${glyph}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" ` +
      `stroke-linecap="round" stroke-linejoin="round">${shapes}</symbol>\n`;
  });
  write("icons.svg", `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("")}</svg>\n`, ICONS);

  mkdirSync(join(folder, "../explorer"), { recursive: true });
  for (const [file, spec, path] of EXPLORER) {
    const text = readFileSync(join(work, "node_modules", nameOf(spec), path));
    write(`../explorer/${file}.gz`, gzipSync(text, { level: 9 }), spec);
  }

  // The licences ask that their texts stay with the code.
  const licences = packages.map((spec) => {
    const root = join(work, "node_modules", nameOf(spec));
    const file = readdirSync(root).find((name) => /^licen[cs]e/i.test(name));
    return `${spec}\n\n${readFileSync(join(root, file), "utf8").trim()}\n`;
  });
  writeFileSync(join(folder, "licences.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
  const entries = lock.map((entry) => `  ${JSON.stringify(entry)}`).join(",\n");
  writeFileSync(join(folder, "vendor.lock"), `[\n${entries}\n]\n`);
} finally {
  rmSync(work, { recursive: true });
}
