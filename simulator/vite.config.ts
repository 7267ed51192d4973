// The page is static files: the engine's module and the data lie beside it. Nothing is asked of any other server.

import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "./",
  plugins: [react()],
  resolve: {
    alias: [
      { find: /^freshrank-wasm/, replacement: here("../target/modules/web-lite-with-cel/web/freshrank_bg.wasm") },
      { find: /^freshrank(?=$|\?)/, replacement: here("../target/modules/web-lite-with-cel/web/freshrank.js") },
    ],
  },
  publicDir: false,
  server: { fs: { allow: [here("..")] } },
  worker: { format: "es" },
  build: { outDir: here("../target/simulator/dist"), emptyOutDir: true, chunkSizeWarningLimit: 1200 },
});
