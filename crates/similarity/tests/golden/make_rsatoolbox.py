#!/usr/bin/env python3
"""Golden values of the comparisons: python3 make_rsatoolbox.py > rsatoolbox.json

The measures in rsatoolbox (0.3.2) are computed by it, on dissimilarities 1 - S; the debiased alignment is written out after Song et
al. (JMLR 2012). `similarities` are strict upper triangles, row by row, of matrices of the same images."""
import json, warnings
import numpy as np
from rsatoolbox.rdm import RDMs, compare
from rsatoolbox.inference import boot_noise_ceiling

warnings.filterwarnings("ignore")
rng = np.random.default_rng(5)
n, upper = 14, np.triu_indices(14, 1)
signal = rng.standard_normal((n, 6))
triangles = []
for scan in range(4):
    r = signal @ rng.standard_normal((6, 30)) + 2 * rng.standard_normal((n, 30))
    r -= r.mean(0)
    e = r / np.linalg.norm(r, axis=1, keepdims=True)
    # Rounded to create ties, and so that f32 is exact.
    triangles.append(np.round((e @ e.T)[upper] * 64) / 64)
rdms = RDMs(1 - np.array(triangles))


def debiased_cka(a, b):
    def full(v):
        m = np.zeros((n, n)); m[upper] = v
        return m + m.T
    def hsic(k, l):
        return (np.sum(k * l) + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(0) @ l.sum(0)) / (n * (n - 3))
    k, l = full(a), full(b)
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


names = {"Pearson": "corr", "Spearman": "spearman", "Kendall tau-a": "tau-a", "cosine": "cosine", "whitened cosine": "cosine_cov"}
out = {"images": n, "similarities": [t.tolist() for t in triangles], "measures": {}, "noise_ceilings": {}}
for name, method in names.items():
    out["measures"][name] = compare(rdms, rdms, method=method).tolist()
    out["noise_ceilings"][name] = [float(x) for x in boot_noise_ceiling(rdms, method=method)]
out["measures"]["CKA, debiased"] = [[float(debiased_cka(a, b)) for b in triangles] for a in triangles]
print(json.dumps(out))
