"""Trains the SD3 and its words together on the VAE's latents. Resumable.

Rectified flow, as ComfyUI's ModelType.FLOW samples it: x = (1 - s) z + s n, the model is given 1000 s and predicts n - z.
Latents z are in the model's own space, after SD3's process_in, which this VAE's scale and shift undo.
"""

import json
import logging
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from . import data
from .host import MODELS, WORK, use_comfyui
from .muon import Muon
from .parallel import rank, world
from .training import Training
from .vae import CHANNELS, trained_vae
from .vae import WEIGHTS as VAE_WEIGHTS

log = logging.getLogger("demo.train.sd3")
CHECKPOINT = WORK / "sd3.pt"
WEIGHTS = MODELS / "diffusion_models" / "headhunter_demo_sd3.safetensors"
WORDS = MODELS / "headhunter_demo" / "words.safetensors"
DEPTH, DIM, CONCEPT_ROWS, SIDE = 4, 256, 4, 16  # blocks = heads, word vector size, vectors per concept, latent side
BATCH, RATE, WARM_UP, DECAY, SEED = 24, 1.5e-3, 200, 0.9995, 12
DROP_ALL, DROP_ONE = 0.1, 0.03


class Words(nn.Module):
    """Word vectors of the four parts of a caption. Row 0 of each part is what stands there when the part is missing."""

    def __init__(self, vocabulary: dict[str, list[str]]) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        for part, words in vocabulary.items():
            rows = CONCEPT_ROWS if part == "concept" else 1
            self.register_parameter(part, nn.Parameter(0.5 * torch.randn(len(words) + 1, rows, DIM)))
        self.pooled = nn.Parameter(0.5 * torch.randn(len(vocabulary["concept"]) + 1, DIM))

    def forward(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 4] indices -> context [B, 7, DIM], pooled [B, DIM].

        Style, tint and background reach the picture through attention alone: pooled knows the concept only.
        """
        rows = [getattr(self, part)[indices[:, i]] for i, part in enumerate(self.vocabulary)]
        return torch.cat(rows, dim=1), self.pooled[indices[:, 0]]


def vocabulary() -> dict[str, list[str]]:
    """The phrases of each part of a caption, in the order of the word vectors' rows 1, 2, ..."""
    return {
        "concept": list(data.emoji_files()),
        "art": [f"{art} style" for art in data.ARTS],
        "tint": [tint for tint in data.TINTS if tint],
        "background": [f"{background} background" for background in data.BACKGROUNDS],
    }


def indices_of(captions: list[data.Caption]) -> Tensor:
    """Captions -> [N, 4] rows of the word vectors."""
    words = vocabulary()
    place = {part: {word: i + 1 for i, word in enumerate(phrases)} for part, phrases in words.items()}
    return torch.tensor(
        [
            (
                place["concept"][c.concept],
                place["art"][f"{c.art} style"],
                place["tint"].get(c.tint, 0),
                place["background"][f"{c.background} background"],
            )
            for c in captions
        ]
    )


def new_sd3() -> Any:
    """ComfyUI's MMDiT as its loader would build it from the shipped file, with fresh weights."""
    use_comfyui()
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper, get_2d_sincos_pos_embed

    model: Any = OpenAISignatureMMDITWrapper(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        depth=DEPTH,
        adm_in_channels=DIM,
        context_embedder_config={
            "target": "torch.nn.Linear",
            "params": {"in_features": DIM, "out_features": 64 * DEPTH},
        },
        num_patches=SIDE * SIDE,
        pos_embed_max_size=SIDE,
        qk_norm="rms",
        dtype=torch.float32,
        device="cpu",
        operations=comfy.ops.disable_weight_init,
    )
    for name, parameter in model.named_parameters():
        if name.endswith(("ln_q.weight", "ln_k.weight")):
            nn.init.ones_(parameter)
        elif name.endswith("bias") or "adaLN_modulation" in name or name.startswith("final_layer"):
            nn.init.zeros_(parameter)
        elif name.startswith(("t_embedder", "y_embedder")):
            nn.init.normal_(parameter, std=0.05)
        else:
            nn.init.xavier_uniform_(parameter.view(parameter.shape[0], -1))
    table = get_2d_sincos_pos_embed(64 * DEPTH, SIDE, scaling_factor=1.0, offset=SIDE / 2)
    model.pos_embed.copy_(torch.as_tensor(table, dtype=torch.float32)[None])
    return model


def attention(func, q: Tensor, k: Tensor, v: Tensor, *args, heads: int, **kwargs) -> Tensor:
    """Joint attention written out, [B, L, H * D] in and out: for 71 tokens twice as quick to train on a CPU as the fused kind."""
    q, k, v = (t.reshape(*t.shape[:2], heads, -1).transpose(1, 2) for t in (q, k, v))
    weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
    return (weights.to(v.dtype) @ v).transpose(1, 2).flatten(2)


@torch.no_grad()
def latents() -> tuple[Tensor, Tensor]:
    """This process's share of the training pictures, encoded once: latents [N, 16, 16, 16] (bfloat16), word indices [N, 4]."""
    captions = data.training_captions()[rank() :: world()]
    path = WORK / f"latents-{rank()}-of-{world()}.pt"
    if not path.exists() or path.stat().st_mtime < VAE_WEIGHTS.stat().st_mtime:
        vae = trained_vae().to(memory_format=torch.channels_last)
        out = []
        for i in range(0, len(captions), 16):
            x = torch.stack([data.picture(c) for c in captions[i : i + 16]]).contiguous(
                memory_format=torch.channels_last
            )
            with torch.autocast("cpu", torch.bfloat16):
                out.append(vae.taesd_encoder(x).bfloat16().contiguous())
            if i % 800 == 0:
                log.info("encoded %d of %d pictures", i, len(captions))
        torch.save(torch.cat(out), path)
    z = torch.load(path, weights_only=True)
    log.info("latents: mean %.3f, std %.3f", z.float().mean(), z.float().std())
    return z, indices_of(captions)


def dropped(indices: Tensor, generator: torch.Generator) -> Tensor:
    """Forgets whole captions (for classifier-free guidance) and, now and then, one part of a caption but never its tint."""
    indices = indices.clone()
    for part in (0, 1, 3):
        indices[torch.rand(len(indices), generator=generator) < DROP_ONE, part] = 0
    indices[torch.rand(len(indices), generator=generator) < DROP_ALL] = 0
    return indices


def rate_at(step: int, done: float) -> float:
    """Learning rate: warm-up over 200 steps, flat, then down to a thirtieth over the last 60 % of the run."""
    return RATE * min(1.0, (step + 1) / WARM_UP) * (1.0 if done < 0.4 else max(1 / 30, (1 - done) / 0.6))


def train(minutes: float) -> None:
    """Trains until `minutes` of training time are used (earlier runs count), exporting every 10 minutes and at the end."""
    torch.manual_seed(SEED)
    both = nn.ModuleDict({"sd3": new_sd3(), "words": Words(vocabulary())})
    z_all, indices = latents()
    optimizer = new_optimizer(both)
    average = {n: p.detach().clone() for n, p in both.named_parameters()}
    state = {"step": 0, "seconds": 0.0}
    if CHECKPOINT.exists():
        saved = torch.load(CHECKPOINT, weights_only=True)
        both.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average, state = saved["average"], saved["state"]
    generator = torch.Generator().manual_seed(SEED + 2 * state["step"] + rank())
    training = Training("sd3", both, optimizer, state, minutes)
    while True:
        pick = torch.randint(len(z_all), (BATCH,), generator=generator)
        loss = flow_loss(both, z_all[pick].float(), dropped(indices[pick], generator), generator)
        training.backward(loss, loss)
        noted = training.step(rate_at(state["step"], training.done))
        decay = min(DECAY, state["step"] / (9 + state["step"]))
        for n, p in both.named_parameters():
            average[n].lerp_(p.detach(), 1 - decay)
        if not noted:
            continue
        if training.exports(every=600) or (training.first and state["step"] == 500):
            torch.save(
                {"model": both.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "state": state},
                CHECKPOINT,
            )
            export(both["sd3"], average, state["step"])
            training.exported()
        if training.over:
            return


def new_optimizer(both: nn.Module) -> Muon:
    """Muon for the matrices of the blocks; Adam for the modulation and for all that is no block's."""
    parameters = dict(both.named_parameters())
    inner = [p for n, p in parameters.items() if p.ndim == 2 and "joint_blocks" in n and "adaLN" not in n]
    outer = [p for p in parameters.values() if not any(p is q for q in inner)]
    return Muon([{"params": inner, "muon": True, "weight_decay": 0.02}, {"params": outer}], lr=RATE)


def flow_loss(both: nn.ModuleDict, z: Tensor, words: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared error of the predicted n - z, at random noise levels; z [B, 16, 16, 16], words [B, 4] -> a number."""
    s = torch.sigmoid(0.3 + torch.randn(len(z), generator=generator))
    noise = torch.randn(z.shape, generator=generator)
    x = torch.lerp(z, noise, s[:, None, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        context, pooled = both["words"](words)
        v = both["sd3"](
            x, 1000 * s, context=context, y=pooled, transformer_options={"optimized_attention_override": attention}
        )
    return F.mse_loss(v.float(), noise - z)


def export(model: Any, average: dict[str, Tensor], step: int) -> None:
    """Writes the averaged weights where the stock loaders find them, and a sheet of samples made through the stock path."""
    from .samples import progress

    for path in (WEIGHTS, WORDS):
        path.parent.mkdir(parents=True, exist_ok=True)
    sd3 = {n.removeprefix("sd3."): p for n, p in average.items() if n.startswith("sd3.")} | {
        "pos_embed": model.pos_embed
    }
    words = {n.removeprefix("words."): p for n, p in average.items() if n.startswith("words.")}
    note_text = {
        "modelspec.title": "HeadHunter demo SD3, 4 layers x 4 heads",
        "modelspec.license": "see demo/LICENSES.md",
    }
    save_file({k: v.half().contiguous() for k, v in sd3.items()}, WEIGHTS, metadata=note_text)
    save_file(words, WORDS, metadata={"vocabulary": json.dumps(vocabulary())})
    for path in (WEIGHTS, WORDS):
        path.chmod(0o644)
    log.info("exported step %d", step)
    progress(step)
