"""Scorers: objects that give each image a number, higher is better (docs/design.md). Plain torch; no ComfyUI."""
