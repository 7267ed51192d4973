/// <reference types="vite/client" />
declare module "freshrank-wasm?url" {
  const url: string;
  export default url;
}
declare module "freshrank?url" {
  const url: string;
  export default url;
}
