export const app: ComfyApp;
