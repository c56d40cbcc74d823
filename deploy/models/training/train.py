#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train one demonstration model on made-up patients, and write its two checkpoints as DINOv3 and
DGCF users have them: backbone.safetensors and net_G.pth.

The backbone is drawn from a seed and stays as it is; the generator learns."""

import argparse
import math
import pathlib
import sys
import time

import torch

from phantoms import MODALITIES, SIZE  # also makes the next imports possible

import tensorfile
from dgcf_torch import HU_HIGH, HU_LOW, PATCH, Dgcf, DinoV3, Generator, GeneratorConfig, VitConfig

BACKBONE_SEED, SEED = 11, 12
VIT = VitConfig(dim=64, depth=12, heads=2, hidden=128, storage=4)
GENERATOR = GeneratorConfig(base=12, embed=64)
BATCH, STEPS, WARM_UP = 2, 1200, 50
ROWS = 128  # of a slice that are learnt from at once
RATE, DECAY = 2e-3, 1e-4
MOMENTUM = 0.03  # of the BatchNorms: batches are small
EDGES = 0.25  # weight of the differences between neighbours in the loss
LOOK = 300  # steps from one validation to the next
VALIDATION = 6  # patients, the last ones, that are only looked at


def read_patients(folder, modality):
    """x_cnn and the target [slices, 1, h, w] of training and of validation."""
    paths = sorted(pathlib.Path(folder).glob("*.pt"))
    patients = [torch.load(path, weights_only=True) for path in paths]
    sets = patients[:-VALIDATION], patients[-VALIDATION:]
    return [(torch.cat([p[modality] for p in s]), torch.cat([p["ct"] for p in s])) for s in sets]


def make_model():
    torch.manual_seed(BACKBONE_SEED)
    backbone = DinoV3(VIT)
    for token in (backbone.cls_token, backbone.storage_tokens):
        torch.nn.init.normal_(token, std=0.02)
    torch.manual_seed(SEED)
    generator = Generator(GENERATOR)
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = MOMENTUM
    return Dgcf(backbone.requires_grad_(False), generator)


def to_target(hu):
    return (hu.float() - HU_LOW) / (HU_HIGH - HU_LOW) * 2 - 1


def to_dino(x_cnn, modality):
    """The published code feeds DINOv3 with [0, 2] for MR."""
    return x_cnn + 1 if modality == "mr" else x_cnn


def loss_of(y, target):
    error = y - target
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return error.abs().mean() + EDGES * edges


def rate_at(step, steps):
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP)))


def batches(data, rng):
    """Batches without end, each slice once before any comes again, mirrored by chance."""
    x, target = data
    while True:
        order = torch.randperm(len(x), generator=rng)
        for picked in order[: len(order) - len(order) % BATCH].split(BATCH):
            both = torch.stack([x[picked].float(), to_target(target[picked])])
            if torch.rand((), generator=rng) < 0.5:
                both = both.flip(-1)
            yield both


@torch.no_grad()
def error_of(model, data, modality):
    """Mean absolute error in HU where the CT is above -300 HU, of every eighth slice, in float32."""
    model.eval()
    total, count = 0.0, 0
    for x, hu in zip(data[0][::8].float().split(BATCH), data[1][::8].float().split(BATCH)):
        y = model(x, to_dino(x, modality))
        body = hu > -300
        total += float((y - to_target(hu))[body].abs().sum()) / 2 * (HU_HIGH - HU_LOW)
        count += int(body.sum())
    return total / count


def forward_window(model, x_cnn, x_dino, top):
    """The output of the ROWS rows from `top` on: the backbone sees whole slices, the generator these rows."""
    with torch.no_grad():
        grids = model.backbone(x_dino, {})
    first, last = top // PATCH, (top + ROWS) // PATCH
    return model.generator(x_cnn[:, :, top : top + ROWS], [g[:, :, first:last] for g in grids], {})


def train(model, sets, modality, steps):
    """Train; yields now and then, and at the end, the number of steps done."""
    rng = torch.Generator().manual_seed(SEED)
    source = batches(sets[0], rng)
    optimizer = torch.optim.AdamW(model.generator.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps))
    model.eval().generator.train()
    for step in range(1, steps + 1):
        x, target = next(source)
        top = PATCH * int(torch.randint((SIZE - ROWS) // PATCH + 1, (), generator=rng))
        with torch.autocast("cpu", torch.bfloat16):
            y = forward_window(model, x, to_dino(x, modality), top)
        loss = loss_of(y.float(), target[:, :, top : top + ROWS])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % LOOK == 0 or step == steps:
            yield step
            model.generator.train()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modality", choices=MODALITIES, required=True)
    parser.add_argument("--data", required=True, help="what make_data.py made")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    torch.set_num_threads(1)  # two trainings side by side take less time than two threads of each
    args.output.mkdir(parents=True, exist_ok=True)
    model = make_model()
    tensorfile.write(args.output / "backbone.safetensors", model.backbone.state_dict())
    sets = read_patients(args.data, args.modality)
    for step in train(model, sets, args.modality, args.steps):
        error = error_of(model, sets[1], args.modality)
        print(f"step {step}: validation {error:.1f} HU, {time.process_time():.0f} s", flush=True)
        torch.save(model.generator.state_dict(), args.output / "net_G.pth")


if __name__ == "__main__":
    sys.exit(main())
