"""The network of `brainprior-classifier` in PyTorch, with the same names. `peers.py` trains it; other libraries attack it."""
import torch.nn as nn, torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, base, blocks, channels=1, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, base, 7, 1, 3, bias=False), nn.BatchNorm2d(base), nn.ReLU())
        inputs, stages = base, []
        for k, count in enumerate(blocks):
            outputs = base * 2**k
            stages.append(nn.Sequential(*[Block(inputs if j == 0 else outputs, outputs, 2 if j == 0 and k else 1) for j in range(count)]))
            inputs = outputs
        self.stages, self.head = nn.ModuleList(stages), nn.Linear(inputs, classes)

    @classmethod
    def of(cls, state):
        """Of the sizes that weights have, and with these."""
        base, channels = state["stem.0.weight"].shape[:2]
        blocks = [sum(f"stages.{k}.{j}.conv1.weight" in state for j in range(100)) for k in range(4)]
        network = cls(base, blocks, channels, len(state["head.bias"]))
        missing, unexpected = network.load_state_dict(state, strict=False)
        assert all(name.endswith("num_batches_tracked") for name in missing), missing
        assert not [name for name in unexpected if name in dict(network.named_parameters())], unexpected
        return network

    def forward(self, x):
        x = self.stem(5 * (x - 0.5))
        for stage in self.stages:
            x = stage(x)
        return self.head(F.avg_pool2d(x, 4).mean((2, 3)))
