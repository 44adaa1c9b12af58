"""Samples through ComfyUI's stock loaders and sampler: what a user of the demo gets, not what the training loop believes."""

import torch
from torch import Tensor

from . import data
from .host import LOG, MODELS, use_comfyui

STEPS, CFG, SAMPLER, SCHEDULER = 20, 3.0, "euler", "simple"
PROGRESS = (  # text, seed; the first row's captions are held out where the hash says so, all are shown beside the real picture
    ("fox face", "google", "", "blue"),
    ("fox face", "twitter", "warm", "white"),
    ("strawberry", "google", "dark", "yellow"),
    ("panda face", "twitter", "", "green"),
    ("pizza", "google", "cool", "pink"),
    ("rocket", "twitter", "grey", "blue"),
    ("sunflower", "twitter", "", "purple"),
    ("guitar", "google", "warm", "green"),
    ("penguin", "google", "", "yellow"),
    ("hamburger", "twitter", "dark", "pink"),
    ("cactus", "google", "", "white"),
    ("octopus", "twitter", "cool", "yellow"),
)


class Pipeline:
    """The stock loaders' model and VAE, and the demo's words."""

    def __init__(self) -> None:
        use_comfyui()
        import comfy.sd
        import comfy.utils

        from ..custom_nodes.headhunter_demo.words import Words

        self.model = comfy.sd.load_diffusion_model(str(MODELS / "diffusion_models" / "headhunter_demo_sd3.safetensors"))
        self.vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(MODELS / "vae" / "headhunter_demo_vae.safetensors")))
        self.words = Words(MODELS / "headhunter_demo" / "words.safetensors")

    def sample(self, text: str, seed: int, steps: int = STEPS, cfg: float = CFG, sampler: str = SAMPLER) -> Tensor:
        """One picture, [3, 128, 128] in 0..1, exactly as KSampler and VAEDecode make it."""
        import comfy.sample

        empty = torch.zeros(1, 16, data.SIZE // 8, data.SIZE // 8)
        positive, negative = (
            [[context, {"pooled_output": pooled}]]
            for context, pooled in (self.words.encode(text), self.words.encode(""))
        )
        latent = comfy.sample.sample(
            self.model, comfy.sample.prepare_noise(empty, seed), steps, cfg, sampler, SCHEDULER, positive, negative, empty,
            denoise=1.0, disable_pbar=True, seed=seed,
        )  # fmt: skip
        return self.vae.decode(latent)[0].permute(2, 0, 1)


@torch.inference_mode()
def progress(step: int) -> None:
    """Writes demo/train/log/sd3-<step>.png: samples above the real pictures."""
    pipeline = Pipeline()
    captions = [data.Caption(*c) for c in PROGRESS]
    made = [pipeline.sample(caption.text, seed=i) for i, caption in enumerate(captions)]
    pictures = torch.stack(made + [data.picture(c) for c in captions])
    data.sheet(torch.nn.functional.avg_pool2d(pictures, 2), len(captions), LOG / f"sd3-{step:05d}.png")
