import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const engine = resolve(import.meta.dirname, "../target/modules/web-lite-with-cel/web/freshrank");

// The engine is the module that `cargo xtask simulator` builds; the data is what it packs beside it.
export default defineConfig({
  base: "./",
  plugins: [react()],
  resolve: {
    alias: [
      { find: /^freshrank$/, replacement: `${engine}.js` },
      // As files of their own, for workers to load.
      { find: /^freshrank-script/, replacement: `${engine}.js` },
      { find: /^freshrank-wasm/, replacement: `${engine}_bg.wasm` },
    ],
  },
  publicDir: resolve(import.meta.dirname, "../target/simulator/data"),
  build: {
    outDir: resolve(import.meta.dirname, "../target/simulator/page"),
    emptyOutDir: true,
    target: "es2022",
    chunkSizeWarningLimit: 1500,
    rollupOptions: { output: { manualChunks: (id) => (/codemirror|lezer|[\\/]yaml[\\/]/.test(id) ? "editor" : undefined) } },
  },
  server: { fs: { allow: [".."] } },
  worker: { format: "es" },
});
