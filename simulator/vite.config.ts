// The page is static files: the engine's module and the data lie beside it. Nothing is asked of any other server.

import { readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const dist = here("../target/simulator/dist");
/** What a browser keeps of the page for when it has no network. */
const list = { name: "list", closeBundle: () => writeFileSync(`${dist}/files.json`, JSON.stringify(readdirSync(`${dist}/assets`).map((name) => `assets/${name}`))) };

export default defineConfig({
  base: "./",
  plugins: [react(), list],
  resolve: {
    alias: [
      { find: /^freshrank-wasm/, replacement: here("../target/modules/web-lite-with-cel/web/freshrank_bg.wasm") },
      { find: /^freshrank(?=$|\?)/, replacement: here("../target/modules/web-lite-with-cel/web/freshrank.js") },
    ],
  },
  server: { fs: { allow: [here("..")] } },
  worker: { format: "es" },
  build: { outDir: dist, emptyOutDir: true, chunkSizeWarningLimit: 1200 },
});
