#!/usr/bin/env python3
"""Makes resnet18.safetensors and resnet34.safetensors: state dicts as PyTorch writes them, of the module that users exchange
weights with, each with images and the logits that PyTorch gives for them in evaluation mode.

    pip install torch safetensors
    python state_dict.py PATH/TO/baselines.py

The module is the class `ResNet` of that file: (2, 2, 2, 2) blocks on grayscale images of 10 classes, and (3, 4, 6, 3) on RGB
images of 100 classes, for which only the stem's first convolution is another. Two base channels keep the files small.
"""
import ast, os, sys
import torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import save_file

source = open(sys.argv[1]).read()
classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name in ("Block", "ResNet")]
exec(compile(ast.Module(classes, []), sys.argv[1], "exec"))

torch.manual_seed(18)
for name, blocks, channels, count in [("resnet18", (2, 2, 2, 2), 1, 10), ("resnet34", (3, 4, 6, 3), 3, 100)]:
    net = ResNet(blocks=blocks, base=2, classes=count)
    if channels == 3:
        net.stem[0] = nn.Conv2d(3, 2, 7, 1, 3, bias=False)
    net.train()
    for _ in range(3):  # running statistics that differ from those of a fresh module
        net(torch.rand(16, channels, 32, 32))
    with torch.no_grad():
        net.gamma.copy_(torch.randn(5))
    net.eval()
    images = torch.rand(2, channels, 32, 32)
    with torch.no_grad():
        logits = net.double()(images.double()).float()
    net.float()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    save_file(net.state_dict(), path + ".safetensors")
    save_file(dict(images=images, logits=logits), path + ".expected.safetensors")
    print(name, os.path.getsize(path + ".safetensors"), "bytes")
