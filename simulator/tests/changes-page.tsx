// The panel by itself, over what the test serves: Helsinki's real merchants and made-up readers.

import "@mantine/core/styles.css";
import { MantineProvider } from "@mantine/core";
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { type Campaign, ChangesPanel, type FileEdit, type Reader } from "../src/changes/index.js";

interface Given { published: Campaign; draft: Campaign; readers: Reader[]; files: FileEdit[]; areas: string[]; displays: string[] }

const bytes = async (path: string) => new Uint8Array(await (await fetch(path)).arrayBuffer());
const given = (await (await fetch(`/given.json${location.search}`)).json()) as Given;
const inputs = {
  script: new URL("/engine/freshrank.js", location.href).href,
  wasm: new URL("/engine/freshrank_bg.wasm", location.href).href,
  areas: await Promise.all(given.areas.map(bytes)),
  displays: await Promise.all(given.displays.map(bytes)),
};

function Page() {
  const [opened, open] = useState<Reader | null>(null);
  return (
    <main style={{ maxWidth: 1080, margin: "24px auto", padding: "0 16px" }}>
      <ChangesPanel inputs={inputs} published={given.published} draft={given.draft} readers={given.readers} files={given.files}
        data="Merchants © OpenStreetMap contributors (ODbL). Readers are simulated." onOpenReader={open} newWorker={() => new Worker("/worker.js", { type: "module" })} />
      {opened && <p data-testid="opened">{opened.id}</p>}
    </main>
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(<MantineProvider><Page /></MantineProvider>);
