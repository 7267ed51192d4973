// Serves the page: `node simulator/serve.mjs FOLDER PORT [WORKER]`. Static files and nothing else; with a Worker's address, what
// begins with /v1/ goes there, so that the page and the Worker have one address, as behind one domain.

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".wasm": "application/wasm", ".pack": "application/octet-stream", ".png": "image/png" };
/** The page asks nobody but its own address; a Worker elsewhere is named by the person at the page. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src *; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function serve(folder, port, worker) {
  const server = createServer((asked, answer) => {
    const { pathname, search } = new URL(asked.url, "http://localhost");
    if (worker && pathname.startsWith("/v1/")) {
      const to = new URL(pathname + search, worker);
      const onward = request(to, { method: asked.method, headers: { ...asked.headers, host: to.host } }, (got) => {
        answer.writeHead(got.statusCode ?? 502, got.headers);
        got.pipe(answer);
      });
      onward.on("error", () => answer.writeHead(502, { "Content-Type": "application/problem+json" }).end(JSON.stringify({ title: "The Worker does not answer", status: 502 })));
      asked.pipe(onward);
      return;
    }
    const path = normalize(join(folder, decodeURIComponent(pathname.endsWith("/") ? `${pathname}index.html` : pathname)));
    if (!path.startsWith(normalize(folder) + sep) || !existsSync(path) || !statSync(path).isFile()) {
      answer.writeHead(404, { "Content-Type": "text/plain" }).end("no such file");
      return;
    }
    answer.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache" });
    createReadStream(path).pipe(answer);
  });
  return new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, port, worker] = process.argv.slice(2);
  // Somebody else may have the port already: then any free one.
  const server = await serve(folder, Number(port), worker).catch(() => serve(folder, 0, worker));
  console.log(`simulator: http://127.0.0.1:${server.address().port}/`);
}
