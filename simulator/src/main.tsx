import { Alert, Container, MantineProvider, Text, createTheme } from "@mantine/core";
import "@mantine/core/styles.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { Simulator } from "./engine";
import "./page.css";

const base = import.meta.env.BASE_URL;
const host = document.getElementById("root");
const theme = createTheme({ primaryColor: "indigo", primaryShade: { light: 8, dark: 8 }, defaultRadius: "md", autoContrast: true });

if (host) {
  const root = createRoot(host);
  Simulator.open(base).then(
    (simulator) =>
      root.render(
        <StrictMode>
          <MantineProvider theme={theme}>
            <App simulator={simulator} base={base} />
          </MantineProvider>
        </StrictMode>,
      ),
    (error: Error) =>
      root.render(
        <MantineProvider theme={theme}>
          <Container p="md">
            <Alert color="red" title="The simulator could not start" role="alert">
              <Text size="sm">{error.message}</Text>
            </Alert>
          </Container>
        </MantineProvider>,
      ),
  );
}
