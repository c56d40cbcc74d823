# SPDX-License-Identifier: Apache-2.0
"""DGCF (arXiv:2511.12098) on a DINOv3 backbone (arXiv:2508.10104) in PyTorch.

An implementation of its own, independent of the engine, that the engine is checked and timed
against.  Modules and parameters bear the names of the published checkpoints, so that their state
dicts load strictly.
"""

import math
import zlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

HU_LOW, HU_HIGH = -1024.0, 2000.0
PATCH = 16
LEVELS = (1, 2, 3, 4)
PROJECTIONS = {1: "proj_f3", 2: "proj_f6", 3: "proj_f9", 4: "proj_f12"}


@dataclass(frozen=True)
class VitConfig:
    dim: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    swiglu: bool = False
    storage: int = 4

    @property
    def features(self):
        """The blocks, counted from 0, whose outputs the generator reads."""
        return {12: (2, 5, 8, 11), 24: (4, 11, 17, 23), 40: (9, 19, 29, 39)}[self.depth]


@dataclass(frozen=True)
class GeneratorConfig:
    base: int = 64
    embed: int = 768
    fusion: str = "cnn"
    levels: tuple = (True, True, True, True)
    cnn: bool = True


# ---- DINOv3 ---------------------------------------------------------------------------------


def rope_periods(head_dim):
    """The periods of Meta's files: powers of 100, rounded to bfloat16."""
    n = head_dim // 4
    periods = 100.0 ** (torch.arange(n, dtype=torch.float64) / n)
    return periods.to(torch.bfloat16).float()


class RopeEmbed(nn.Module):
    """cos and sin, [patches, head_dim] each, of the patch centres in [-1, 1] on both axes."""

    def __init__(self, head_dim):
        super().__init__()
        self.register_buffer("periods", rope_periods(head_dim))

    def forward(self, rows, columns):
        y = (torch.arange(rows, device=self.periods.device) + 0.5) / rows * 2 - 1
        x = (torch.arange(columns, device=self.periods.device) + 0.5) / columns * 2 - 1
        centre = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
        angle = (2 * math.pi * centre[:, :, None] / self.periods).flatten(1).tile(2)
        return angle.cos(), angle.sin()


def rotate_half(x):
    low, high = x.chunk(2, -1)
    return torch.cat([-high, low], -1)


def rotate_patches(x, rope):
    """Turn the patch tokens of x [n, heads, tokens, head_dim]; the tokens before them stay."""
    cos, sin = rope
    prefix, patch = x.split([x.shape[2] - cos.shape[0], cos.shape[0]], 2)
    turned = patch.float() * cos + rotate_half(patch.float()) * sin
    return torch.cat([prefix, turned.to(x.dtype)], 2)


class MaskedBiasLinear(nn.Linear):
    """A linear layer whose bias counts where bias_mask is 1: the key third of qkv has none."""

    def __init__(self, dim_in, dim_out):
        super().__init__(dim_in, dim_out)
        mask = torch.ones(dim_out)
        mask[dim_out // 3 : 2 * dim_out // 3] = 0
        self.register_buffer("bias_mask", mask)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias * self.bias_mask)


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = MaskedBiasLinear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, rope):
        n, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(rotate_patches(q, rope), rotate_patches(k, rope), v)
        return self.proj(out.transpose(1, 2).reshape(n, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.w1 = nn.Linear(dim, hidden)
        self.w2 = nn.Linear(dim, hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class LayerScale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=1e-5)
        self.attn = Attention(config.dim, config.heads)
        self.ls1 = LayerScale(config.dim)
        self.norm2 = nn.LayerNorm(config.dim, eps=1e-5)
        self.mlp = (SwiGlu if config.swiglu else Mlp)(config.dim, config.hidden)
        self.ls2 = LayerScale(config.dim)

    def forward(self, x, rope):
        x = x + self.ls1(self.attn(self.norm1(x), rope))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, PATCH)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class DinoV3(nn.Module):
    """x [n, 1, h, w] -> four grids [n, dim, h/16, w/16]: block outputs through the final norm."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.storage_tokens = nn.Parameter(torch.zeros(1, config.storage, config.dim))
        self.mask_token = nn.Parameter(torch.zeros(1, config.dim))
        self.patch_embed = PatchEmbed(config.dim)
        self.rope_embed = RopeEmbed(config.dim // config.heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim, eps=1e-5)

    def tokens(self, x):
        patches = self.patch_embed(x.expand(-1, 3, -1, -1))
        prefix = torch.cat([self.cls_token, self.storage_tokens], 1)
        return torch.cat([prefix.expand(len(x), -1, -1).to(patches.dtype), patches], 1)

    def feature(self, tokens, grid):
        patches = self.norm(tokens)[:, 1 + self.config.storage :]
        return patches, patches.transpose(1, 2).unflatten(2, grid)

    def forward(self, x, taps):
        grid = (x.shape[2] // PATCH, x.shape[3] // PATCH)
        rope = self.rope_embed(*grid)
        tokens = taps["vit.tokens0"] = self.tokens(x)
        maps = []
        for i, block in enumerate(self.blocks):
            tokens = block(tokens, rope)
            if i == 0:
                taps["vit.block0"] = tokens
            if i in self.config.features:
                taps[f"vit.feature{i}"], feature = self.feature(tokens, grid)
                maps.append(feature)
        return maps


# ---- the generator --------------------------------------------------------------------------


def conv3(channels_in, channels_out):
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


class ConvBNGELU(nn.Module):
    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.block = nn.Sequential(
            conv3(channels_in, channels_out), nn.BatchNorm2d(channels_out), nn.GELU()
        )

    def forward(self, x):
        return self.block(x)


class ResidualBlock(nn.Module):
    """x + BN(conv(GELU(BN(conv x)))): no activation after the sum."""

    def __init__(self, channels):
        super().__init__()
        self.block = nn.Sequential(
            conv3(channels, channels),
            nn.BatchNorm2d(channels),
            nn.GELU(),
            conv3(channels, channels),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return x + self.block(x)


class CrossFusion(nn.Module):
    """What the four kinds have in common: both projections (kind `none` has them unused)."""

    def __init__(self, channels):
        super().__init__()
        self.proj_dino = ConvBNGELU(channels, channels)
        self.proj_img = ConvBNGELU(channels, channels)

    def forward(self, img, dino):
        return self.fuse(self.proj_img(img), self.proj_dino(dino))


class CnnFusion(CrossFusion):
    def __init__(self, channels):
        super().__init__(channels)
        self.merge = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.GELU(),
            ResidualBlock(channels),
        )

    def fuse(self, img, dino):
        return self.merge(torch.cat([img, dino], 1))


class GatedFusion(CrossFusion):
    def __init__(self, channels):
        super().__init__(channels)
        self.gate = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), nn.BatchNorm2d(channels), nn.Sigmoid()
        )
        self.out_proj = ConvBNGELU(channels, channels)

    def fuse(self, img, dino):
        gate = self.gate(torch.cat([img, dino], 1))
        return self.out_proj(gate * img + (1 - gate) * dino)


class SeFusion(CrossFusion):
    def __init__(self, channels):
        super().__init__(channels)
        self.fc = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(2 * channels, channels // 4, 1),
            nn.GELU(),
            nn.Conv2d(channels // 4, 2 * channels, 1),
            nn.Sigmoid(),
        )

    def fuse(self, img, dino):
        weight_img, weight_dino = self.fc(torch.cat([img, dino], 1)).chunk(2, 1)
        return img * weight_img + dino * weight_dino


class SumFusion(CrossFusion):
    def forward(self, img, dino):
        return img + dino


FUSIONS = {"cnn": CnnFusion, "gated": GatedFusion, "se": SeFusion, "none": SumFusion}


class Encoder(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.enc1 = nn.Sequential(ConvBNGELU(1, base), ResidualBlock(base))
        self.enc2 = self.level(2 * base)
        self.enc3 = self.level(4 * base)
        self.enc4 = self.level(8 * base)

    @staticmethod
    def level(channels):
        return nn.Sequential(
            nn.MaxPool2d(2), ConvBNGELU(channels // 2, channels), ResidualBlock(channels)
        )

    def forward(self, x):
        levels = []
        for stage in (self.enc1, self.enc2, self.enc3, self.enc4):
            x = stage(x)
            levels.append(x)
        return levels


class Decoder(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.up1 = self.level(4 * base)
        self.up2 = self.level(2 * base)
        self.up3 = self.level(base)
        self.out = nn.Sequential(ConvBNGELU(base, base // 2), nn.Conv2d(base // 2, 1, 3, padding=1))

    @staticmethod
    def level(channels):
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            ConvBNGELU(2 * channels, channels),
            ResidualBlock(channels),
        )

    def forward(self, levels, taps):
        x = levels[3]
        for i, stage in enumerate((self.up1, self.up2, self.up3)):
            taps[f"gen.up{i + 1}"] = stage(x)
            x = taps[f"gen.up{i + 1}"] + levels[2 - i]
        return torch.tanh(self.out(x))


class Generator(nn.Module):
    """x [n, 1, h, w] and the four DINO grids -> y [n, 1, h, w] in [-1, 1]."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        if config.cnn:
            self.encoder = Encoder(config.base)
        for level in self.used_levels():
            channels = config.base << (level - 1)
            setattr(self, PROJECTIONS[level], ConvBNGELU(config.embed, channels))
            setattr(self, f"fuse{level}", FUSIONS[config.fusion](channels))
        self.decoder = Decoder(config.base)

    def used_levels(self):
        return [level for level in LEVELS if self.config.levels[level - 1]]

    def dino_map(self, level, grid_map, size):
        projected = getattr(self, PROJECTIONS[level])(grid_map)
        return F.interpolate(projected, size=size, mode="bilinear", align_corners=False)

    def fused_levels(self, x, maps, taps):
        levels = self.encoder(x)
        for level in LEVELS:
            taps[f"gen.enc{level}"] = levels[level - 1]
        for level in self.used_levels():
            img = levels[level - 1]
            dino = self.dino_map(level, maps[level - 1], img.shape[2:])
            levels[level - 1] = getattr(self, f"fuse{level}")(img, dino)
            taps[f"gen.fuse{level}"] = levels[level - 1]
        return levels

    def dino_levels(self, x, maps):
        h, w = x.shape[2:]
        return [
            self.dino_map(level, maps[level - 1], (h >> (level - 1), w >> (level - 1)))
            for level in LEVELS
        ]

    def forward(self, x, maps, taps):
        if self.config.cnn:
            levels = self.fused_levels(x, maps, taps)
        else:
            levels = self.dino_levels(x, maps)
        return self.decoder(levels, taps)


class Dgcf(nn.Module):
    """x_cnn, x_dino [n, 1, h, w] -> y [n, 1, h, w]; `taps`, if given, gets the inner tensors."""

    def __init__(self, backbone, generator):
        super().__init__()
        self.backbone = backbone
        self.generator = generator

    def forward(self, x_cnn, x_dino, taps=None):
        taps = {} if taps is None else taps
        return self.generator(x_cnn, self.backbone(x_dino, taps), taps)


# ---- checkpoints ----------------------------------------------------------------------------


def vit_config(state, heads=0):
    """The configuration of a state dict with Meta's names; heads: 0 to tell by the periods."""
    swiglu = "blocks.0.mlp.w1.weight" in state
    dim = state["cls_token"].shape[-1]
    return VitConfig(
        dim=dim,
        depth=1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks.")),
        heads=heads or dim // (4 * len(state["rope_embed.periods"])),
        hidden=len(state["blocks.0.mlp.w1.weight" if swiglu else "blocks.0.mlp.fc1.weight"]),
        swiglu=swiglu,
        storage=state["storage_tokens"].shape[1],
    )


def fusion_kind(state):
    if any(".merge." in key for key in state):
        return "cnn"
    if any(".gate." in key for key in state):
        return "gated"
    return "se" if any(".fc." in key for key in state) else "none"


def generator_config(state):
    projections = [f"{PROJECTIONS[level]}.block.0.weight" for level in LEVELS]
    levels = tuple(key in state for key in projections)
    return GeneratorConfig(
        base=len(state["decoder.up3.1.block.0.weight"]),
        embed=state[projections[levels.index(True)]].shape[1],
        fusion=fusion_kind(state),
        levels=levels,
        cnn=any(key.startswith("encoder.") for key in state),
    )


def load_dgcf(vit_state, generator_state):
    backbone = DinoV3(vit_config(vit_state))
    backbone.load_state_dict(vit_state)
    generator = Generator(generator_config(generator_state))
    generator.load_state_dict(generator_state)
    return Dgcf(backbone, generator).eval()


# ---- random weights -------------------------------------------------------------------------


def random_like(name, tensor, seed):
    """Values that depend on the name and the seed alone, whatever else the model holds."""
    rng = torch.Generator().manual_seed(seed * 0x100000000 + zlib.crc32(name.encode()))
    return torch.randn(tensor.shape, generator=rng)


def random_parameter(name, tensor, seed):
    noise = random_like(name, tensor, seed)
    if tensor.ndim >= 2 and not name.endswith("_token") and not name.endswith("_tokens"):
        fan_in = tensor[0].numel()
        gain = 2.0 if tensor.ndim == 4 else 1.0
        return noise * math.sqrt(gain / fan_in)
    if name.endswith(".gamma"):
        return 0.3 + 0.1 * noise
    if name.endswith(".weight"):
        return 1 + 0.15 * noise
    return (0.5 if "token" in name else 0.2) * noise


@torch.no_grad()
def randomise(model, seed, x_cnn, x_dino, y_std=0.3):
    """Give `model` random weights and BatchNorm statistics, then scale and shift its last
    convolution so that atanh(y) has mean 0 and the deviation y_std for these inputs."""
    for name, parameter in model.named_parameters():
        parameter.copy_(random_parameter(name, parameter, seed))
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.3 * random_like(name, buffer, seed))
        if name.endswith("running_var"):
            buffer.copy_((1 + 0.25 * random_like(name, buffer, seed)).clamp(0.5, 1.5))
    model.eval()
    last = model.generator.decoder.out[1]
    last.weight.mul_(0.01)
    y = torch.atanh(model(x_cnn, x_dino))
    gain = y_std / y.std()
    last.weight.mul_(gain)
    last.bias.copy_(gain * (last.bias - y.mean()))
    return model


# ---- the recipe -----------------------------------------------------------------------------


def resize(slices, height, width):
    """Bilinear without antialiasing; slices [n, 1, h, w]."""
    return F.interpolate(slices, size=(height, width), mode="bilinear", align_corners=False)


def clip_limits(volume, modality):
    """MR: percentiles 1 and 99 of the volume, interpolated linearly; CBCT: the HU range."""
    if modality == "cbct":
        return HU_LOW, HU_HIGH
    ordered = volume.flatten().double().sort().values
    limits = []
    for percent in (1, 99):
        place = percent / 100 * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        limits.append(float(ordered[low] + (ordered[high] - ordered[low]) * (place - low)))
    return tuple(limits)


def prepare(volume, modality, height, width):
    """volume [d, h, w] -> clip limits, x_cnn, x_dino.  The published code feeds DINOv3 with
    [0, 2] for MR and [-1, 1] for CBCT."""
    low, high = clip_limits(volume, modality)
    unit = (resize(volume.clamp(low, high)[:, None], height, width) - low) / (high - low)
    x_cnn = unit * 2 - 1
    return (low, high), x_cnn, unit * 2 if modality == "mr" else x_cnn


def to_hu(y, rows, columns):
    hu = (y + 1) / 2 * (HU_HIGH - HU_LOW) + HU_LOW
    return resize(hu, rows, columns)[:, 0]
