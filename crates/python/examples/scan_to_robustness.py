"""From a scan to a curve of robustness: what neurons find alike regularizes a ResNet, which is then attacked beside one without.

    pip install 'brainprior[torch,progress]' matplotlib && python scan_to_robustness.py

Scan and images are made here, so that it runs anywhere; with a scan of your own: bp.read_scan("scan.h5").
"""

import brainprior as bp
import matplotlib.pyplot as plt
import numpy as np
import torch
from brainprior.torch import PairSampler, SimilarityLoss
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)

# Images of gratings on noise; what is to be told apart is one of four orientations.
y, x = np.mgrid[0:16, 0:16]
angles = rng.integers(0, 4, 1200)
wave = np.sin(0.9 * (x * np.cos(angles * np.pi / 4)[:, None, None] + y * np.sin(angles * np.pi / 4)[:, None, None]) + rng.uniform(0, 6, (1200, 1, 1)))
images = np.clip(0.5 + 0.25 * wave + 0.12 * rng.normal(size=wave.shape), 0, 1).astype(np.float32)

# A scan of 300 of them: 60 neurons that prefer an orientation, whatever its phase; 40 images are shown eight times.
field = np.exp(1j * 0.9 * (x[None] * np.cos(t := rng.uniform(0, np.pi, (60, 1, 1))) + y[None] * np.sin(t))) / 256
rates = 40 * np.abs(np.einsum("nhw,ihw->in", field, images[:300] - 0.5))
shown = np.concatenate([np.arange(260), np.repeat(np.arange(260, 300), 8)])
tiers = ["train"] * 220 + ["validation"] * 40 + ["test"] * 320
scan = bp.Scan.from_arrays(images[:300], rng.poisson(rates[shown]), tiers, trial_image=shown, name="made")

# Reliable neurons count more; what they say without the noise of single trials comes from a model, and gives the target.
w = np.nan_to_num(scan.reliability().w)
model = bp.fit(scan, {"core": {"channels": [8, 8, 8]}, "optimization": {"max_epochs": 15}})
target = bp.similarity(model.predict(scan.images), w, ids=scan.image_ids)
print("repeats against the model:", bp.compare(bp.similarity(*scan.repeat_means()[:1], w, ids=scan.repeat_means()[1]), target.select(scan.repeat_means()[1]), bootstrap=200))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1), nn.BatchNorm2d(o))
        self.way = nn.Conv2d(i, o, 1, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.way(x))


def trained(alpha):
    net = nn.Sequential(nn.Conv2d(1, 12, 5, 1, 2), Block(12, 12, 1), Block(12, 24, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 4))
    similarity, pairs = SimilarityLoss({"block1": net[1], "block2": net[2]}), iter(PairSampler(target, scan.images, batch=32))
    optimizer = torch.optim.Adam([*net.parameters(), *similarity.parameters()], 2e-3)
    for step in range(300):
        rows = torch.from_numpy(rng.integers(0, 1000, 64))
        loss = nn.functional.cross_entropy(net(torch.from_numpy(images)[rows, None]), torch.from_numpy(angles)[rows])
        loss = loss + alpha * similarity(net, *next(pairs)) if alpha else loss
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return net


sizes = np.linspace(0, 0.3, 31)
for name, alpha in [("cross entropy alone", 0), ("with the neural target", 1)]:
    found = bp.attack(trained(alpha), images[1000:1100, None], angles[1000:1100], norm="linf", budget=100)
    print(f"{name}: median of the smallest perturbations {found.median:.4f}, 95% {found.interval[0]:.4f} to {found.interval[1]:.4f}")
    plt.plot(sizes, found.accuracy(sizes), label=name)
plt.xlabel("perturbation (Linf)"), plt.ylabel("accuracy"), plt.legend(), plt.savefig("robustness.png")
