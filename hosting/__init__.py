"""Finds and prepares the ComfyUI that the tests, the demo and the bench run on. Standard library only.

`setup.ensure()` is the way in; `server.Server` runs what it found.
"""
