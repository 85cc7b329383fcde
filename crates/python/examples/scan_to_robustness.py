"""From a scan to robustness curves: neural similarities regularize a ResNet, which is then attacked along with an unregularized one.

    pip install ./crates/python torch tqdm matplotlib && python scan_to_robustness.py
The scan and images are simulated, so that it runs anywhere; for your own scan use scan = bp.read_scan("scan.h5").
"""
import brainprior as bp, matplotlib.pyplot as plt, numpy as np, torch
from brainprior.torch import PairSampler, SimilarityLoss
from torch import nn

rng, _ = np.random.default_rng(0), torch.manual_seed(0)

# Noisy gratings; the classes are four orientations.
y, x = np.mgrid[0:16, 0:16]
classes = rng.integers(0, 4, 1050)
angle, phase = (classes * np.pi / 4)[:, None, None], rng.uniform(0, 6, (1050, 1, 1))
wave = np.sin(0.9 * (x * np.cos(angle) + y * np.sin(angle)) + phase)
images = np.clip(0.5 + 0.25 * wave + 0.12 * rng.normal(size=wave.shape), 0, 1).astype(np.float32)

# A scan with 300 of them: 60 neurons tuned to orientation at any phase; the last 40 images are shown eight times.
prefers = rng.uniform(0, np.pi, (60, 1, 1))
fields = np.exp(0.9j * (x * np.cos(prefers) + y * np.sin(prefers))) / 256
rates = 40 * np.abs(np.einsum("nhw,ihw->in", fields, images[:300] - 0.5))
shown = np.concatenate([np.arange(260), np.repeat(np.arange(260, 300), 8)])
tiers = ["train"] * 220 + ["validation"] * 40 + ["test"] * 320
scan = bp.Scan.from_arrays(images[:300], rng.poisson(rates[shown]), tiers, trial_image=shown)

# Weight neurons by reliability; a model predicts their responses without the noise of single trials.
w = np.nan_to_num(scan.reliability().w)
model = bp.fit(scan, {"core": {"channels": [8, 8, 8]}, "optimization": {"max_epochs": 15}})
target = bp.similarity(model.predict(scan.images), w, ids=scan.image_ids)
repeats, ids = scan.repeat_means()
print("against repeats:", bp.compare(target.select(ids), bp.similarity(repeats, w, ids=ids), bootstrap=200))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        convolutions = nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1)
        self.body = nn.Sequential(*convolutions, nn.BatchNorm2d(o))
        self.shortcut = nn.Conv2d(i, o, 1, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


for name, alpha in [("cross-entropy only", 0), ("with the neural target", 1)]:
    layers = [nn.Conv2d(1, 8, 5, 1, 2), Block(8, 8, 1), Block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = nn.Sequential(*layers, nn.Linear(16, 4))
    similarity = SimilarityLoss({"block1": network[1], "block2": network[2]})
    optimizer = torch.optim.Adam([*network.parameters(), *similarity.parameters()], 3e-3)
    for step, (stimuli, wanted) in zip(range(150), PairSampler(target, scan.images, batch=32)):
        rows = rng.integers(0, 1000, 64)
        loss = nn.functional.cross_entropy(network(torch.tensor(images[rows, None])), torch.tensor(classes[rows]))
        loss = loss + alpha * similarity(network, stimuli, wanted)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    found = bp.attack(network, images[1000:, None], classes[1000:], norm="linf", budget=100)
    print(f"{name}: median of the smallest perturbations {found.median:.4f}, 95% interval {found.interval}")
    plt.plot(sizes := np.linspace(0, 0.3, 31), found.accuracy(sizes), label=name)
plt.xlabel("perturbation (Linf)"), plt.ylabel("accuracy"), plt.legend(), plt.savefig("robustness.png")
