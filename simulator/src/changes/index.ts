export { ChangesPanel, type ChangesPanelProps } from "./ChangesPanel.js";
export type { FileEdit } from "./patch.js";
export type { Campaign, EngineInputs, Reader } from "./types.js";
