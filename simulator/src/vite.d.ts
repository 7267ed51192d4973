/// <reference types="vite/client" />

declare module "freshrank-script?url" {
  const url: string;
  export default url;
}

declare module "freshrank-wasm?url" {
  const url: string;
  export default url;
}
