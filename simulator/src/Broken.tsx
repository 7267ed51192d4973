// What stands where a part of the page failed: a sentence instead of nothing.

import { Alert, Button } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { said } from "./engine.js";

export class Broken extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };
  static getDerivedStateFromError(error: unknown) {
    return { error };
  }
  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    const missing = /import|fetch|load/i.test(said(error));
    return (
      <Alert color="red" role="alert" title={missing ? "A part of the page did not load" : "A part of the page failed"}>
        {missing ? "Check the network, then load the page again." : `${said(error)}. Load the page again.`} Your drafts are still there.
        <div><Button mt="xs" size="compact-sm" variant="default" onClick={() => location.reload()}>Load the page again</Button></div>
      </Alert>
    );
  }
}
