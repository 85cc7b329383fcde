#!/usr/bin/env python3
"""Writes the PyTorch files of this folder with torch.save (2.15), and expected.safetensors: the tensors that torch.load finds in
each file as `file/name`, converted by .float(), with prefixes removed from the names.

    pip install torch safetensors numpy
    python make.py

`plain.pt`: a state dict with its versions. `data-parallel.pt`: a training checkpoint with the state dict under `state_dict`, prefix
`module.`, and with an optimizer, a scheduler, a NumPy number, a seed and a set. `compiled.pt`: under `model` with the prefix
`_orig_mod.`, in half precision, and the same dictionary again as `ema`. `averaged.pt`: from torch.optim.swa_utils. `kinds.pt`:
bfloat16, f64, channels last, transposed and sliced views, a scalar, an empty tensor, parameters, tied weights. `row.pth`: the format
before 2020, with views. `protocol-4.pt`: a later pickle protocol. Refused: `module.pt`, a whole module; `program.pt`, a state dict
with an object that would call os.getcwd, a harmless function; `overlapping.pt`, one large tensor under many names; `expanded.pt`, one
number expanded to many; `packed.pt`, a compressed zip.
"""

import io
import os
import pathlib
import zipfile
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
expected = {}
torch.manual_seed(7)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Conv2d(2, 1, 1))
network(torch.rand(4, 3, 5, 5))


def save(file, saved, state, prefix="", **options):
    torch.save(saved, here / file, **options)
    for name, tensor in state.items():
        if tensor.is_floating_point() and name.startswith(prefix):
            expected[f"{file}/{name.removeprefix(prefix)}"] = tensor.float().contiguous().clone()


state = network.state_dict()
save("plain.pt", state, state)

parallel = torch.nn.DataParallel(network)
optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1, momentum=0.9)
parallel(torch.rand(4, 3, 5, 5)).sum().backward()
optimizer.step()
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
checkpoint = {
    "epoch": 3,
    "arch": "small",
    "state_dict": parallel.state_dict(),
    "optimizer": optimizer.state_dict(),
    "scheduler": scheduler.state_dict(),
    "best_acc1": torch.tensor(71.5),
    "loss": np.float64(0.25),
    "seed": 2**70 + 1,
    "split": {1, 2},
    "dtype": torch.float32,
}
save("data-parallel.pt", checkpoint, checkpoint["state_dict"], "module.")

half = OrderedDict((f"_orig_mod.{name}", tensor.half() if tensor.is_floating_point() else tensor) for name, tensor in state.items())
save("compiled.pt", {"ema": half, "model": half}, half, "_orig_mod.")

averaged = torch.optim.swa_utils.AveragedModel(network)
averaged.update_parameters(network)
save("averaged.pt", averaged.state_dict(), averaged.state_dict(), "module.")

weight = torch.randn(4, 3, 3, 5)
kinds = {
    "bfloat16": weight.bfloat16(),
    "f64": torch.randn(3, 2, dtype=torch.float64) * 1e-3,
    "channels-last": weight.to(memory_format=torch.channels_last),
    "half.channels-last": weight.half().to(memory_format=torch.channels_last),
    "transposed": weight[0, 0].T,
    "cut": weight[1:3, :, ::2, 1:4],
    "cut.contiguous": weight[2],
    "number": torch.tensor(-0.0),
    "nothing": torch.zeros(0, 3),
    "one": torch.randn(1, 4, 1).permute(2, 1, 0),
    "parameter": torch.nn.Parameter(torch.randn(5)),
    "whole": torch.arange(4),
    "flags": torch.tensor([True, False]),
}
kinds["tied"] = kinds["bfloat16"]
save("kinds.pt", kinds, kinds)
legacy = {"model": {name: kinds[name] for name in ("f64", "channels-last", "cut", "bfloat16", "whole", "flags")}, "other": torch.rand(3)}
save("row.pth", legacy, legacy["model"], _use_new_zipfile_serialization=False)
save("protocol-4.pt", state, state, pickle_protocol=4)


class Program:
    def __reduce__(self):
        return os.getcwd, ()


torch.save(network, here / "module.pt")
torch.save({"state_dict": state, "hook": Program()}, here / "program.pt")
torch.save({f"weight{copy}": weight for copy in range(40)}, here / "overlapping.pt")
torch.save({"weight": torch.zeros(1).expand(500)}, here / "expanded.pt")
buffer = io.BytesIO()
torch.save(state, buffer)
with zipfile.ZipFile(buffer) as stored, zipfile.ZipFile(here / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
    for member in stored.namelist():
        packed.writestr(zipfile.ZipInfo(member), stored.read(member), zipfile.ZIP_DEFLATED)
save_file(expected, here / "expected.safetensors")
(here / "expected.safetensors").chmod(0o644)
for file in sorted(here.glob("*.[ps]*")):
    print(file.name, file.stat().st_size, "bytes")
print(torch.__version__, len(expected), "tensors")
