import "@mantine/core/styles.css";
import "./page.css";
import { Alert, Container, MantineProvider, createTheme } from "@mantine/core";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";
import { Broken } from "./Broken.js";
import { load, said } from "./engine.js";
import { keep } from "./offline.js";

const theme = createTheme({ primaryColor: "indigo", primaryShade: { light: 8, dark: 8 }, defaultRadius: "md", fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" });
const root = createRoot(document.getElementById("root") as HTMLElement);
const show = (what: React.ReactNode) => root.render(<StrictMode><MantineProvider theme={theme} defaultColorScheme="auto">{what}</MantineProvider></StrictMode>);

load().then((data) => {
  show(<Broken><App data={data} /></Broken>);
  (window.requestIdleCallback ?? setTimeout)(() => void keep());
}, (error) => show(<Container p="xl"><Alert color="red" title="The page could not start" role="alert">{said(error)}</Alert></Container>));
