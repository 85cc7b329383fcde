#!/usr/bin/env python3
"""Makes joint_step.safetensors: one joint step of a small network in PyTorch, in double precision, stored as f32.

    pip install torch numpy safetensors
    python joint_step.py
"""
import os
import torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import save_file

ALPHA, BLOCKS, BASE = 20.0, (1, 2, 1, 1), 2


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        same = stride == 1 and i == o
        self.shortcut = nn.Sequential() if same else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, BASE, 7, 1, 3, bias=False), nn.BatchNorm2d(BASE), nn.ReLU())
        i, stages = BASE, []
        for k, n in enumerate(BLOCKS):
            o = BASE * 2**k
            stages.append(nn.Sequential(*[Block(i if j == 0 else o, o, 2 if j == 0 and k else 1) for j in range(n)]))
            i = o
        self.stages, self.head, self.gamma = nn.ModuleList(stages), nn.Linear(i, classes), nn.Parameter(torch.zeros(len(BLOCKS) + 1))

    def features(self, x):
        out = [self.stem(5 * (x - 0.5))]
        for stage in self.stages:
            out.append(stage(out[-1]))
        return out

    def forward(self, x):
        return self.head(F.avg_pool2d(self.features(x)[-1], 4).mean((2, 3)))

    def similarity(self, pairs):
        scores = []
        for features in self.features(pairs):
            # The running mean after one update from zero.
            center = 0.1 * features.detach().mean((0, 2, 3))[:, None, None]
            u, v = (features - center).flatten(1).chunk(2)
            scores.append(F.cosine_similarity(u, v, eps=0))
        return (torch.stack(scores, 1) * F.softmax(self.gamma, 0)).sum(1)


torch.manual_seed(5)
net = ResNet()
with torch.no_grad():
    for name, tensor in net.state_dict().items():
        if tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) * 0.5 + (0.75 if name.endswith(("weight", "var")) else -0.25))
images, labels = torch.rand(3, 1, 32, 32), torch.tensor([7, 0, 3])
stimuli, target = torch.rand(4, 1, 36, 64), torch.tensor([0.35, -0.1])
out = {f"before.{name}": tensor.clone() for name, tensor in net.state_dict().items()}
net.double()
out |= dict(images=images, labels=labels.float(), stimuli=stimuli, target=target)
net.eval()
out["logits"] = net(images.double())
net.train()
cross_entropy = F.cross_entropy(net(images.double()), labels)
similarities = net.similarity(stimuli.double())
similarity_loss = (torch.atanh(similarities) - torch.atanh(target.double())).square().mean()
# pixel-reg's 2 arctanh, whose loss is four times that; and exactly as its code computes it, with e = 1e-5 in both logarithms.
twice = lambda s: torch.log(1 + s) - torch.log(1 - s)
code = lambda s, e=1e-5: torch.log(1 + s + e) - torch.log(1 - s + e)
lineage_loss = (twice(similarities) - twice(target.double())).square().mean()
out["lineage_code_loss"] = (code(similarities) - code(target.double())).square().mean()
lineage = torch.autograd.grad(cross_entropy + ALPHA * lineage_loss, list(net.parameters()), retain_graph=True)
out["lineage_loss"] = lineage_loss
out |= {f"lineage_gradient.{name}": gradient for (name, _), gradient in zip(net.named_parameters(), lineage)}
(cross_entropy + ALPHA * similarity_loss).backward()
out |= dict(cross_entropy=cross_entropy, similarities=similarities, similarity_loss=similarity_loss)
out |= {f"gradient.{name}": parameter.grad for name, parameter in net.named_parameters()}
out |= {f"after.{name}": tensor for name, tensor in net.state_dict().items() if "running" in name}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "joint_step.safetensors")
save_file({name: tensor.detach().float().contiguous() for name, tensor in out.items() if "tracked" not in name}, path)
print(os.path.getsize(path), "bytes; similarities", similarities.tolist(), "loss", similarity_loss.item())
