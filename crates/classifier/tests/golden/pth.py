#!/usr/bin/env python3
"""Makes resnet18.pth: the tensors of resnet18.safetensors as `torch.save(net.state_dict(), ...)` writes them, the versions of
the modules included; and torchvision.pt: those of the stem and of the first blocks of two stages, with a head of as many channels, under torchvision's names, as
a training in parallel leaves them, with convolutions in channels last and everything in f64.

    pip install torch safetensors
    python pth.py
"""
import os
import re
from collections import OrderedDict
import torch
from safetensors.torch import load_file

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resnet18")
state = OrderedDict(load_file(path + ".safetensors"))
state._metadata = OrderedDict({"": {"version": 1}, "stem.1": {"version": 2}})
torch.save(state, path + ".pth")
print(torch.__version__, os.path.getsize(path + ".pth"), "bytes")


def torchvision(name):
    name = name.replace("stem.0.", "conv1.").replace("stem.1.", "bn1.").replace("head.", "fc.").replace("shortcut", "downsample")
    return re.sub(r"^stages\.(\d)", lambda stage: f"layer{int(stage[1]) + 1}", name)


def converted(tensor):
    tensor = tensor.double() if tensor.is_floating_point() else tensor
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


part = {name: tensor for name, tensor in state.items() if name.startswith(("stem.", "stages.0.0.", "stages.1.0.", "head."))}
part["head.weight"] = part["head.weight"][:, :4]
wrapped = OrderedDict((f"module.{torchvision(name)}", converted(tensor)) for name, tensor in part.items())
torch.save({"epoch": 90, "state_dict": wrapped}, os.path.join(os.path.dirname(path), "torchvision.pt"))
print(os.path.getsize(os.path.join(os.path.dirname(path), "torchvision.pt")), "bytes")
