"""Tiny random models of ComfyUI's own classes, in a real ModelPatcher, and what is needed to sample them.

models.py has the makers, families.py what each kind of transformer looks like from outside, sampling.py the rest.
"""

from .families import FAMILIES, Family
from .models import HAS_FLUX2, flux, flux2, sd3, video_vae
from .sampling import CONTEXT, POOLED, TEXT_TOKENS, allow_float64, conditioning, host_node, latent, sample

__all__ = [
    "CONTEXT", "FAMILIES", "HAS_FLUX2", "POOLED", "TEXT_TOKENS", "Family",
    "allow_float64", "conditioning", "flux", "flux2", "host_node", "latent", "sample", "sd3", "video_vae",
]  # fmt: skip
