"""The only package that imports comfy."""
