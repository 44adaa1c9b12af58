/** What the page's modules use of ComfyUI's frontend, which ships no types: its app, api and graph, as plain interfaces. */

interface ComfyWidget {
  name: string;
  type: string;
  value: any;
  options?: { values?: unknown };
  label?: string;
  serialize?: boolean;
  callback?: (value: unknown, canvas: ComfyCanvas | undefined, node: ComfyNode) => void;
}

interface ComfyInput {
  name: string;
  type: string;
  link: number | null;
  widget?: { name: string };
}

interface ComfyOutput {
  links: number[] | null;
}

/** A subgraph's own input or output, as a socket inside of it. */
interface ComfySubgraphSlot {
  linkIds?: number[];
  connect(slot: ComfyInput | ComfyOutput | undefined, node: ComfyNode): unknown;
}

interface ComfyLink {
  origin_id: number | string;
  origin_slot: number;
  target_id: number | string;
  target_slot: number;
}

interface ComfyGraph {
  id?: string;
  rootGraph?: ComfyGraph;
  subgraphs?: Map<string, ComfyGraph>;
  inputs?: ComfySubgraphSlot[];
  outputs?: ComfySubgraphSlot[];
  links?: Map<number, ComfyLink> & Record<number, ComfyLink>;
  _nodes?: ComfyNode[];
  add(node: ComfyNode): void;
  remove(node: ComfyNode): void;
  getLink?(id: number): ComfyLink | undefined;
  getNodeById(id: number | string): ComfyNode | null;
}

interface ComfyNode {
  id: number | string;
  type: string;
  comfyClass: string;
  graph: ComfyGraph | null;
  subgraph?: ComfyGraph;
  isVirtualNode?: boolean;
  properties: Record<string, string | undefined>;
  pos: number[];
  size: number[];
  inputs?: ComfyInput[];
  outputs: ComfyOutput[];
  widgets?: ComfyWidget[];
  addDOMWidget(name: string, type: string, element: HTMLElement, options: object): ComfyWidget;
  computeSize(): [number, number];
  connect(slot: number, to: ComfyNode | null, input: number): unknown;
  disconnectInput(slot: number): unknown;
  getInputLink?(slot: number): ComfyLink | null;
  setDirtyCanvas?(foreground: boolean, background: boolean): void;
  setProperty?(name: string, value: string): void;
  setSize?(size: [number, number]): void;
  onAdded?(...values: unknown[]): unknown;
  onExecuted?(...values: unknown[]): unknown;
  onRemoved?(...values: unknown[]): unknown;
}

interface ComfyCanvas {
  canvas: HTMLCanvasElement;
  graph: ComfyGraph | null;
  selected_nodes?: Record<string, ComfyNode>;
  emitBeforeChange?(): void;
  emitAfterChange?(): void;
  processMouseDown?(event: PointerEvent): unknown;
  processMouseMove?(event: PointerEvent): unknown;
  processMouseUp?(event: PointerEvent): unknown;
  processMouseWheel?(event: WheelEvent): unknown;
}

interface ComfyApp {
  canvas?: ComfyCanvas;
  graph?: ComfyGraph;
  rootGraph?: ComfyGraph;
  nodeOutputs?: Record<string, any>;
  extensionManager?: { toast?: { add(message: { severity: string; summary: string; detail: string; life: number }): void } };
  handleFile(file: File): void;
  registerExtension(extension: { name: string; nodeCreated(node: ComfyNode): void }): void;
}

interface ComfyApi {
  addEventListener(name: string, handler: (event: CustomEvent<any>) => void): void;
  apiURL(path: string): string;
  fetchApi(path: string): Promise<Response>;
  deleteUserData(path: string): Promise<Response>;
  getUserData(path: string): Promise<Response>;
  listUserDataFullInfo(folder: string): Promise<{ path: string; modified?: number }[]>;
  storeUserData(path: string, data: string | Blob, options: object): Promise<Response>;
}

interface Window {
  LiteGraph?: { vueNodesMode?: boolean; createNode(type: string): ComfyNode | null };
}
