"""How many images withstand the standard AutoAttack of torchattacks 3.5, and in how many passes.

    python auto_attack.py NETWORK IMAGES COUNT OUT.json NORM EPSILON [EPSILON ...]

NETWORK and IMAGES are those of `equal_budgets.py`, NORM linf or l2. `passes` counts forward and backward passes, divided by the
number of images that the network classifies correctly. `cargo xtask attack --budget N` finds the smallest perturbations to compare with.
"""
import json, os, sys, time
import torch, torch.nn as nn, torchattacks
from network import ResNet
from safetensors.torch import load_file

torch.manual_seed(0)
torch.set_num_threads(int(os.environ.get("THREADS", "1")))


class Counted(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.passes = network, 0

    def forward(self, x):
        self.passes += len(x)
        logits = self.network(x)
        if x.requires_grad:
            logits.register_hook(self.back)
        return logits

    def back(self, gradient):
        self.passes += len(gradient)
        return gradient


def main():
    network, images, count, path, norm = sys.argv[1:6]
    data, state = load_file(images), load_file(network)
    model = Counted(ResNet.of(state)).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x, y = (data[name] if name in data else data[f"test_{name}"] for name in ("images", "labels"))
    x, y = x[: int(count)].float() / 255, y[: int(count)].long()
    right = torch.cat([model(part).argmax(1) for part in x.split(100)]) == y
    result = json.load(open(path)) if os.path.exists(path) else {}
    for epsilon in map(float, sys.argv[6:]):
        attack = torchattacks.AutoAttack(model, norm={"linf": "Linf", "l2": "L2"}[norm], eps=epsilon, version="standard", n_classes=10)
        model.passes, start, withstand = 0, time.process_time(), 0
        for images, labels in zip(x[right].split(100), y[right].split(100)):
            withstand += (model.network(attack(images, labels)).argmax(1) == labels).sum().item()
        entry = {"images": len(x), "correct": right.sum().item(), "withstand": withstand, "passes": model.passes / right.sum().item(), "seconds": time.process_time() - start}
        result.setdefault(norm, {})[str(epsilon)] = entry
        print(norm, epsilon, entry, flush=True)
        with open(path, "w") as file:
            json.dump(result, file)


main()
