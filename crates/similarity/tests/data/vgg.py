#!/usr/bin/env python3
"""Writes the state dict of a small VGG network (torchvision's names, weights that half precision can represent) with torch.save 2.15:
vgg.pth in the format before 2020, and vgg-half.pt in half precision under `model`. Also writes vgg.safetensors: gray images and
PyTorch's features after the first convolution behind the pooling.

    pip install torch safetensors
    python vgg.py
"""

import pathlib

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
torch.manual_seed(3)
conv = lambda inputs, outputs: torch.nn.Conv2d(inputs, outputs, 3, padding=1)
features = torch.nn.Sequential(
    conv(3, 2), torch.nn.ReLU(), conv(2, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), conv(3, 4), torch.nn.ReLU(), torch.nn.MaxPool2d(2)
)
network = torch.nn.ModuleDict({"features": features, "classifier": torch.nn.Linear(4, 2)}).half().float()
torch.save(network.state_dict(), here / "vgg.pth", _use_new_zipfile_serialization=False)
torch.save({"epoch": 1, "model": {name: tensor.half() for name, tensor in network.state_dict().items()}}, here / "vgg-half.pt")
images = torch.rand(4, 1, 8, 6)
mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
with torch.no_grad():
    seen = (images - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    found = features[:7].double()(seen.double()).float()
save_file({"images": images, "conv2_1": found}, here / "vgg.safetensors")
(here / "vgg.safetensors").chmod(0o644)
