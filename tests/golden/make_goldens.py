#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the project's own golden vectors: tiny models with random weights, in every format and
variant the engine reads, with what dgcf_torch.py computes from them in float32 on the CPU.

usage: make_goldens.py [FOLDER]     (default: data/ beside this file)"""

import pathlib
import sys

import torch
import torch.nn.functional as F

import tensorfile
from dgcf_torch import (
    Dgcf,
    DinoV3,
    Generator,
    GeneratorConfig,
    VitConfig,
    prepare,
    randomise,
    to_hu,
)

SEED = 5
VIT = dict(dim=32, depth=12, heads=2, hidden=64, storage=4)
GENERATOR = dict(base=4, embed=32)
HEIGHT, WIDTH, BATCH = 32, 48, 2
PIPELINE_SIZE = (32, 32)
# What the io files hold: each variant what is new in it, to keep them small.
TAPS = {"cnn": ("vit.", "gen."), "nocnn": ("gen.up",), "swiglu": ("vit.",)}
VARIANTS = {
    "cnn": {},
    "gated": dict(fusion="gated"),
    "se": dict(fusion="se"),
    "none": dict(fusion="none"),
    "cnn-layers-0101": dict(levels=(False, True, False, True)),
    "nocnn": dict(cnn=False),
}
HF_NAMES = (
    ("blocks.", "layer."),
    ("storage_tokens", "register_tokens"),
    ("patch_embed.proj", "patch_embeddings"),
    ("attn.proj", "attention.o_proj"),
    ("ls1.gamma", "layer_scale1.lambda1"),
    ("ls2.gamma", "layer_scale2.lambda1"),
    ("mlp.fc1", "mlp.up_proj"),
    ("mlp.fc2", "mlp.down_proj"),
)
HF_EMBEDDINGS = ("cls_token", "register_tokens", "mask_token", "patch_embeddings")


def image(count, height, width, seed):
    """Smooth random images with some grain, [count, 1, height, width], mostly within [-1, 1]."""
    rng = torch.Generator().manual_seed(seed)
    total = 0.02 * torch.randn(count, 1, height, width, generator=rng)
    for cells, amplitude in ((3, 0.4), (8, 0.2), (20, 0.1)):
        coarse = torch.randn(count, 1, cells, cells, generator=rng)
        total += amplitude * F.interpolate(coarse, size=(height, width), mode="bicubic")
    return total.clamp(-1, 1)


def make_model(vit, generator):
    x = image(BATCH, HEIGHT, WIDTH, SEED)
    model = Dgcf(DinoV3(VitConfig(**VIT, **vit)), Generator(GeneratorConfig(**GENERATOR, **generator)))
    return randomise(model, SEED, x, x + 1, y_std=0.3)


def hf_name(name):
    for meta, hf in HF_NAMES:
        name = name.replace(meta, hf)
    return "embeddings." + name if name.startswith(HF_EMBEDDINGS) else name


def hf_state(state):
    """The same weights under the Hugging Face names: q, k and v apart, no key bias, no periods."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("bias_mask") or name == "rope_embed.periods":
            continue
        if ".attn.qkv." not in name:
            out[hf_name(name)] = tensor
            continue
        prefix, kind = hf_name(name).split("attn.qkv.")
        for letter, part in zip("qkv", tensor.chunk(3)):
            if (letter, kind) != ("k", "bias"):
                out[f"{prefix}attention.{letter}_proj.{kind}"] = part
    out["embeddings.mask_token"] = out["embeddings.mask_token"][None]
    return out


def write_io(folder, name, model, prefixes):
    x_cnn = image(BATCH, HEIGHT, WIDTH, SEED + 1)
    io = {"x_cnn": x_cnn, "x_dino": x_cnn + 1}
    taps = {}
    io["y"] = model(io["x_cnn"], io["x_dino"], taps)
    io.update((key, tap) for key, tap in taps.items() if key.startswith(prefixes))
    tensorfile.write(folder / f"io-{name}-{HEIGHT}x{WIDTH}.safetensors", io)


def write_pipeline(folder, modality, volume, model):
    clip, x_cnn, x_dino = prepare(volume, modality, *PIPELINE_SIZE)
    y = model(x_cnn, x_dino)
    hu = to_hu(y, *volume.shape[1:])
    clip = torch.tensor(clip, dtype=torch.float32)
    tensorfile.write(
        folder / f"pipeline-{modality}.safetensors",
        dict(volume=volume, clip=clip, x_cnn=x_cnn, x_dino=x_dino, y=y, hu=hu),
    )


def write_generator_pickles(folder, state):
    prefixed = {"module." + name: tensor for name, tensor in state.items()}
    torch.save(state, folder / "best_net_G.pth")
    torch.save(prefixed, folder / "module_prefix_net_G.pth")
    torch.save(state, folder / "legacy_net_G.pth", _use_new_zipfile_serialization=False)


def write_backbone(folder, state):
    tensorfile.write(folder / "vit-meta.safetensors", state)
    tensorfile.write(folder / "vit-hf.safetensors", hf_state(state))
    torch.save(state, folder / "vit.pth")


def write_swiglu(folder, cnn):
    swiglu = make_model(dict(swiglu=True), {})
    tensorfile.write(folder / "vit-swiglu-meta.safetensors", swiglu.backbone.state_dict())
    write_io(folder, "swiglu", Dgcf(swiglu.backbone, cnn.generator), TAPS["swiglu"])


def write_pipelines(folder, cnn):
    tensorfile.write(folder / "generator-pipeline.safetensors", cnn.generator.state_dict())
    mr = (image(3, 41, 37, SEED + 2)[:, 0] + 1).square() * 300
    cbct = image(3, 41, 37, SEED + 3)[:, 0] * 1900 + 300
    write_pipeline(folder, "mr", mr, cnn)
    write_pipeline(folder, "cbct", cbct, cnn)


def main():
    default = pathlib.Path(__file__).parent / "data"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    models = {name: make_model({}, variant) for name, variant in VARIANTS.items()}
    with torch.no_grad():
        for name, model in models.items():
            tensorfile.write(folder / f"generator-{name}.safetensors", model.generator.state_dict())
            write_io(folder, name, model, TAPS.get(name, ("gen.fuse",)))
        write_backbone(folder, models["cnn"].backbone.state_dict())
        write_generator_pickles(folder, models["cnn"].generator.state_dict())
        write_swiglu(folder, models["cnn"])
        write_pipelines(folder, models["cnn"])


main()
