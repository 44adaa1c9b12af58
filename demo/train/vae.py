"""Trains the VAE: TAESD's layers with 16 latent channels, on 64-pixel crops of the pictures. Resumable.

loss = squared error + 0.1 absolute error + 0.01 (latent channel mean^2 + (latent channel std - 1)^2)
"""

import logging
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import data
from .host import MODELS, WORK, use_comfyui
from .muon import Muon
from .parallel import rank
from .training import Training

log = logging.getLogger("demo.train.vae")
CHECKPOINT = WORK / "vae.pt"
WEIGHTS = MODELS / "vae" / "headhunter_demo_vae.safetensors"
CHANNELS, CROP, BATCH, RATE, NOISE, SEED = 16, 64, 8, 2e-3, 0.05, 11
SD3_SCALE, SD3_SHIFT = 1.5305, 0.0609  # comfy.latent_formats.SD3: so that process_in gives back TAESD's own latents


def new_vae() -> Any:
    """ComfyUI's TAESD with fresh weights; its scale and shift undo SD3's latent format."""
    use_comfyui()
    from comfy.taesd.taesd import TAESD

    vae: Any = TAESD(latent_channels=CHANNELS)
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if name.endswith("conv.4"):  # the end of a residual branch
                module.weight.data.mul_(0.3)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for last in (vae.taesd_encoder[-1], vae.taesd_decoder[-1]):
        last.weight.data.mul_(0.3)
    nn.init.constant_(vae.taesd_decoder[-1].bias, 0.5)
    vae.vae_scale.data.fill_(SD3_SCALE)
    vae.vae_shift.data.fill_(SD3_SHIFT)
    return vae


def trained_vae() -> Any:
    """The VAE of the shipped weights, in eval mode."""
    from safetensors.torch import load_file

    vae = new_vae()
    vae.load_state_dict(load_file(WEIGHTS))
    return vae.eval()


def crops(captions: list[data.Caption], generator: torch.Generator) -> Tensor:
    """A batch of random crops, [B, 3, 64, 64] in 0..1."""
    out = []
    for i in torch.randint(len(captions), (BATCH,), generator=generator).tolist():
        y, x = torch.randint(data.SIZE - CROP + 1, (2,), generator=generator).tolist()
        out.append(data.picture(captions[i])[:, y : y + CROP, x : x + CROP])
    return torch.stack(out)


def rate_at(done: float) -> float:
    """Learning rate after a share `done` of the run: warm-up over 3 %, flat, then down to a fiftieth from 55 % on."""
    if done < 0.03:
        return RATE * (done / 0.03 + 0.02)
    return RATE * (1.0 if done < 0.55 else max(0.02, (1 - done) / 0.45))


def train(minutes: float) -> None:
    """Trains until `minutes` of training time are used (earlier runs count), exporting every 5 minutes and at the end."""
    torch.manual_seed(SEED)
    vae = new_vae().to(memory_format=torch.channels_last)
    vae.vae_scale.requires_grad_(False)
    vae.vae_shift.requires_grad_(False)
    inner = [p for n, p in vae.named_parameters() if p.ndim == 4 and min(p.shape[:2]) > CHANNELS]
    outer = [p for p in vae.parameters() if p.requires_grad and not any(p is q for q in inner)]
    optimizer = Muon([{"params": inner, "muon": True}, {"params": outer}], lr=RATE)
    state = {"step": 0, "seconds": 0.0}
    if CHECKPOINT.exists():
        saved = torch.load(CHECKPOINT, weights_only=True)
        vae.load_state_dict(saved["vae"])
        optimizer.load_state_dict(saved["optimizer"])
        state = saved["state"]
    captions = [c for c in data.captions() if not data.held_out(c)]
    generator = torch.Generator().manual_seed(SEED + 2 * state["step"] + rank())
    training = Training("vae", vae, optimizer, state, minutes)
    while True:
        loss, error = losses(vae, crops(captions, generator), generator)
        training.backward(loss, error)
        if not training.step(rate_at(training.done)):
            continue
        if training.exports(every=300):
            torch.save({"vae": vae.state_dict(), "optimizer": optimizer.state_dict(), "state": state}, CHECKPOINT)
            export(vae, captions)
            training.exported()
        if training.over:
            return


def losses(vae: Any, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The loss of pictures [B, 3, H, W] that are decoded from slightly noisy latents, and the squared error in it."""
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        z = vae.taesd_encoder(x)
        noisy = z + NOISE * torch.randn(z.shape, generator=generator)
        y = vae.taesd_decoder(noisy)
    z, y = z.float(), y.float()
    error = (y - x).square().mean()
    spread = z.mean((0, 2, 3)).square().mean() + (z.std((0, 2, 3)) - 1).square().mean()
    return error + 0.1 * (y - x).abs().mean() + 0.01 * spread, error


@torch.no_grad()
def export(vae: Any, captions: list[data.Caption]) -> None:
    """Writes the weights and a sheet of pictures above their reconstructions."""
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().float().contiguous() for k, v in vae.state_dict().items()}, WEIGHTS)
    WEIGHTS.chmod(0o644)
    x = torch.stack([data.picture(captions[i]) for i in range(0, len(captions), len(captions) // 8)][:8])
    y = vae.taesd_decoder(vae.taesd_encoder(x.contiguous(memory_format=torch.channels_last)))
    log.info("exported; squared error on 8 whole pictures %.5f", (y - x).square().mean())
    data.sheet(torch.cat([x, y]), 8, WORK / "vae.png")
