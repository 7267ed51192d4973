import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The engine is the module that `cargo xtask simulator` builds; the data is what it packs beside it.
export default defineConfig({
  base: "./",
  plugins: [react()],
  resolve: { alias: { freshrank: resolve(import.meta.dirname, "../target/modules/web-lite-with-cel/web/freshrank.js") } },
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
