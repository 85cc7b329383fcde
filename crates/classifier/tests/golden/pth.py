#!/usr/bin/env python3
"""Makes resnet18.pth: the tensors of resnet18.safetensors as `torch.save(net.state_dict(), ...)` writes them, the versions of
the modules included.

    pip install torch safetensors
    python pth.py
"""
import os
from collections import OrderedDict
import torch
from safetensors.torch import load_file

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resnet18")
state = OrderedDict(load_file(path + ".safetensors"))
state._metadata = OrderedDict({"": {"version": 1}, "stem.1": {"version": 2}})
torch.save(state, path + ".pth")
print(torch.__version__, os.path.getsize(path + ".pth"), "bytes")
