"""HeadHunter for ComfyUI: the entry point, and one clear error on a ComfyUI that is too old."""

import importlib.util
import logging
import os
import re
import sys

NEEDED = (0, 3, 64)


def _lacks() -> str | None:
    """What is wrong with the ComfyUI around this pack, None if it will do."""
    try:
        from comfyui_version import __version__ as version

        number = tuple(int(part) for part in version.split("-")[0].split("+")[0].split("."))
    except ImportError:
        return "one that does not tell its version"
    except ValueError:  # a fork that counts in its own way: what it can do decides
        number = NEEDED
    if number < NEEDED:
        return f"ComfyUI {version}"
    if not _has("comfy_api.v0_0_2"):
        return f"ComfyUI {version} without comfy_api.v0_0_2"
    if not _calls_override():
        return f"ComfyUI {version} without the attention override (transformer_options['optimized_attention_override'])"
    return None


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # nor is there the package that it would be in
        return False


def _calls_override() -> bool:
    """Asks ComfyUI's attention itself. It is loaded long before any pack; where it is not, nothing can be asked."""
    attention = sys.modules.get("comfy.ldm.modules.attention")
    if attention is None:
        return True
    import torch

    called = object()
    options = {"optimized_attention_override": lambda func, *args, **kwargs: called}
    x = torch.zeros(1, 1, 8)
    try:
        return attention.optimized_attention(x, x, x, 1, transformer_options=options) is called
    except Exception:  # an older signature, or a backend that cannot run on the CPU: the override was not called
        return False


def _unserved() -> str | None:
    """The name of this folder where ComfyUI does not serve what the page needs from it, None where it does."""
    folder = os.path.basename(os.path.dirname(os.path.abspath(__file__)))
    return None if re.fullmatch(r"[A-Za-z0-9._~-]+", folder) else folder


_problem = _lacks()
if _problem is None:
    WEB_DIRECTORY = "./web"

    async def comfy_entrypoint():
        """The pack's nodes, for ComfyUI's loader."""
        from .nodes import HeadHunterExtension

        return HeadHunterExtension()

    if _unserved():
        logging.warning(
            "HeadHunter: from a folder called %r ComfyUI does not serve the page's part, so its nodes come without their "
            "head grid. Rename the folder in custom_nodes to headhunter and start again.",
            _unserved(),
        )
else:
    _needed = ".".join(map(str, NEEDED))
    logging.error("HeadHunter needs ComfyUI %s or newer and found %s: its nodes are not loaded.", _needed, _problem)
    NODE_CLASS_MAPPINGS = {}  # without it ComfyUI's loader would add a second, misleading line
