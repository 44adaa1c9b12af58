export const api: ComfyApi;
