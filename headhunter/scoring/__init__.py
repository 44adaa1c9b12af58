"""Scorers: objects that give each image a number, higher is better (DESIGN 5b). Plain torch; no ComfyUI."""
