"""What is called PAG for SD3 in diffusers, and self_and_text on every head, are one and the same."""

import pytest
import torch
from headhunter_pack.headhunter.perturbation import Attention, perturb
from torch.nn.functional import scaled_dot_product_attention

processors = pytest.importorskip("diffusers.models.attention_processor", reason="diffusers is not installed")

HEADS, SIZE, PICTURE, TEXT, BATCH = 3, 8, 16, 5, 2


def attend(q, k, v, mask=None):
    return scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), attn_mask=mask).transpose(1, 2)


def test_self_and_text_is_the_pag_of_sd3_in_diffusers():
    """Its joint attention over the picture and then the text, with the whole layer perturbed, both streams, to 1e-5."""
    torch.manual_seed(0)
    width = HEADS * SIZE
    layer = processors.Attention(
        query_dim=width,
        added_kv_proj_dim=width,
        dim_head=SIZE,
        heads=HEADS,
        context_pre_only=False,
        bias=True,
        processor=processors.PAGJointAttnProcessor2_0(),
    ).double()
    picture, text = (torch.randn(BATCH, rows, width, dtype=torch.float64) for rows in (PICTURE, TEXT))
    with torch.no_grad():
        # It makes the plain prediction and the perturbed one of the same batch.
        theirs = [out.chunk(2) for out in layer(picture.repeat(2, 1, 1), text.repeat(2, 1, 1))]
        q, k, v = (
            torch.cat([own(picture), added(text)], dim=1).unflatten(-1, (HEADS, SIZE))
            for own, added in (
                (layer.to_q, layer.add_q_proj),
                (layer.to_k, layer.add_k_proj),
                (layer.to_v, layer.add_v_proj),
            )
        )

        def both(strength):
            out, every = attend(q, k, v), torch.arange(HEADS)
            attention = Attention.of(out, q, k, v, every, slice(0, PICTURE), attend)
            perturb(out, attention, torch.full((1, HEADS), strength), "self_and_text")
            out = out.flatten(2)
            return layer.to_out[0](out[:, :PICTURE]), layer.to_add_out(out[:, PICTURE:])

        for (plain, perturbed), unchanged, changed in zip(theirs, both(0.0), both(1.0), strict=True):
            assert (unchanged - plain).norm() < 1e-5 * plain.norm()
            assert (changed - perturbed).norm() < 1e-5 * perturbed.norm()
    assert (theirs[0][0] - theirs[0][1]).norm() > 0.1 * theirs[0][0].norm()
