#!/usr/bin/env python3
"""Fits neuralpredictors to one scan by its own recipe, with the metrics of the convolutional model of `cargo xtask denoise`: one JSON object per line.

    pip install torch numpy scipy h5py neuralpredictors==0.3.0
    python neuralpredictors_fit.py sim-scan-a.h5 --epochs 60 --threads 2

Stacked2dCore (3 x 32 channels, kernels 13/3/3), FullGaussian2d readout, MLP shifter, behavior as image channels, summed Poisson
loss scaled to the data set, Adam, its own `early_stopping` (patience 5, three decays by 0.3, best state restored): the
recipe of the Sensorium 2022 baseline. `NAME.truth.h5` next to the scan is only used for evaluation.
"""
import argparse, collections, collections.abc, json, resource, time
import h5py, numpy as np, torch, torch.nn.functional as F

collections.Iterable = collections.abc.Iterable  # neuralpredictors 0.3.0 predates Python 3.10
from neuralpredictors.layers.cores import Stacked2dCore
from neuralpredictors.layers.readouts import FullGaussian2d
from neuralpredictors.layers.shifters import MLPShifter
from neuralpredictors.training import early_stopping

p = argparse.ArgumentParser()
p.add_argument("scan"); p.add_argument("--epochs", type=int, default=200); p.add_argument("--threads", type=int, default=2)
p.add_argument("--seed", type=int, default=0); p.add_argument("--batch", type=int, default=64); p.add_argument("--rate", type=float, default=5e-3)
p.add_argument("--channels", type=int, default=32); p.add_argument("--layers", type=int, default=3)
p.add_argument("--input-kernel", type=int, default=13); p.add_argument("--hidden-kernel", type=int, default=3)
p.add_argument("--depth-separable", action="store_true"); p.add_argument("--every", type=int, default=10, help="epochs between measurements")
a = p.parse_args()
torch.set_num_threads(a.threads); torch.manual_seed(a.seed); np.random.seed(a.seed)


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF); return u.ru_utime + u.ru_stime


f = h5py.File(a.scan); tiers = f["tiers"][()]; train, validation, test = (np.flatnonzero(tiers == t) for t in (b"train", b"validation", b"test"))
ids = f["item_info/frame_image_id"][()]
images = f["images"][()].astype(np.float32); images = (images - images[train].mean()) / images[train].std()
std = f["responses"][()][train].std(0); std = np.maximum(std, 0.01 * std.mean()); responses = f["responses"][()] / std
has = lambda name: name in f  # without behavior and gaze: the image alone, and no shifter
behavior = f["behavior"][()] if has("behavior") else np.zeros((len(tiers), 0)); behavior = behavior / behavior[train].std(0)
pupil = f["pupil_center"][()] if has("pupil_center") else np.zeros((len(tiers), 2)); pupil = pupil - pupil[train].mean(0)
if has("pupil_center"): pupil = pupil / pupil[train].std(0)
X, B, P, R = (torch.tensor(v, dtype=torch.float32) for v in (images, behavior, pupil, responses))


def inputs(x, b):
    return torch.cat([x, b[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


class Model(torch.nn.Module):
    def __init__(s):
        super().__init__()
        s.core = Stacked2dCore(1 + B.shape[1], a.channels, a.input_kernel, a.hidden_kernel, layers=a.layers, gamma_input=6.3831, skip=0, bias=False,
                               pad_input=False, stack=-1, depth_separable=a.depth_separable, input_regularizer="LaplaceL2norm")
        with torch.no_grad(): shape = s.core(inputs(X[:2], B[:2])).shape[1:]
        s.readout = FullGaussian2d(shape, R.shape[1], bias=True, init_mu_range=0.3, init_sigma=0.1, gauss_type="full", feature_reg_weight=0.0076,
                                   mean_activity=R[train].mean(0))
        s.core.initialize()
        s.shifter = MLPShifter(["scan"], input_channels=2, hidden_channels_shifter=5, shift_layers=3) if has("pupil_center") else None

    def forward(s, x, b, pupil):
        return F.elu(s.readout(s.core(inputs(x, b)), shift=s.shifter["scan"](pupil) if s.shifter else None)) + 1

    def regularizer(s):
        return s.core.regularizer() + s.readout.regularizer()


def predict(m, x, b, pupil):
    training = m.training; m.eval()
    with torch.no_grad(): out = torch.cat([m(x[i:i + 64], b[i:i + 64], pupil[i:i + 64]) for i in range(0, len(x), 64)]).numpy()
    m.train(training); return out


def columns(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0) + 1e-24)


def similarity(r):
    e = r - r.mean(0); e = e / np.linalg.norm(e, axis=1, keepdims=True)
    return (e @ e.T)[np.triu_indices(len(r), 1)]


def measure(m):
    """Test trials with their own behavior and pupil; the 100 oracle images at mean behavior and mean pupil."""
    out, shown = predict(m, X[test], B[test], P[test]), ids[test]; order = np.unique(shown)
    mean = lambda r: np.stack([r[shown == i].mean(0) for i in order])
    single, average = columns(out, responses[test]), columns(mean(out), mean(responses[test]))
    repeats = [np.flatnonzero(shown == i) for i in order]; oracle_mean = np.empty_like(out)
    for rows in repeats:
        r = responses[test][rows]; oracle_mean[rows] = (r.sum(0) - r) / (len(rows) - 1)
    oracle = columns(oracle_mean, responses[test])
    noise = np.stack([responses[test][rows].var(0, ddof=1) for rows in repeats]).mean(0); total = responses[test].var(0, ddof=1)
    feve = 1 - (((out - responses[test]) ** 2).mean(0) - noise) / (total - noise)
    first = test[[np.flatnonzero(shown == i)[0] for i in order]]; neutral = torch.zeros(len(order), 2)
    still = torch.tensor(behavior[train].mean(0), dtype=torch.float32).expand(len(order), -1); denoised = predict(m, X[first], still, neutral)
    w = np.sqrt(mean(responses[test]).var(0) / np.stack([responses[test][rows].var(0) for rows in repeats]).mean(0))
    trial = lambda t, others: np.stack([np.delete(responses[test][rows], t, 0).mean(0) if others else responses[test][rows][t] for rows in repeats])
    fewest = min(map(len, repeats)); near = lambda r, weights: float(np.mean(
        [np.corrcoef(similarity((trial(t, False) if r is None else r) * weights), similarity(trial(t, True) * weights))[0, 1] for t in range(fewest)]))
    figures = dict(test_median=float(np.median(single)), test_mean=float(single.mean()), average_median=float(np.median(average)),
                   average_mean=float(average.mean()), fraction_oracle=float((single * oracle).sum() / (oracle * oracle).sum()),
                   feve_median=float(np.median(feve[(total - noise) / total >= 0.15])),
                   others_equal=near(denoised, 1), others_w=near(denoised, w), trial_equal=near(None, 1), trial_w=near(None, w))
    try: truth = h5py.File(a.scan.replace(".h5", ".truth.h5"))
    except FileNotFoundError: return figures
    expected = truth["ground_truth/expected_responses"][()][order] / std; responsive = truth["parameters/responsive"][()] > 0
    v = np.maximum(columns(predict(m, X[validation], B[validation], P[validation]), responses[validation]), 0)
    against = columns(denoised, expected)
    return figures | dict(true_median_responsive=float(np.median(against[responsive])), true_mean=float(np.nanmean(against)),
                          similarity_equal=float(np.corrcoef(similarity(denoised), similarity(expected))[0, 1]),
                          similarity_wv=float(np.corrcoef(similarity(denoised * w * v), similarity(expected))[0, 1]))


model = Model(); optimiser = torch.optim.Adam(model.parameters(), a.rate)
objective = lambda m: float(columns(predict(m, X[validation], B[validation], P[validation]), responses[validation]).mean())
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.3, patience=5, threshold=1e-6, threshold_mode="abs", min_lr=1e-4)
scale = np.sqrt(len(train) / a.batch); model.train(); started, before = time.perf_counter(), cpu()
for epoch, v in early_stopping(model, objective, interval=1, patience=5, max_iter=a.epochs, maximize=True, tolerance=1e-6,
                               restore_best=True, scheduler=scheduler, lr_decay_steps=3):
    print(json.dumps(dict(epoch=epoch - 1, validation=v, cpu_seconds=cpu() - before, wall_seconds=time.perf_counter() - started)), flush=True)
    if epoch > 1 and (epoch - 1) % a.every == 0: print(json.dumps(dict(epoch=epoch - 1, **measure(model))), flush=True)
    order = torch.tensor(np.random.permutation(train))
    for i in range(0, len(order), a.batch):
        j = order[i:i + a.batch]; out = model(X[j], B[j], P[j])
        loss = scale * (out - R[j] * torch.log(out + 1e-12)).sum() + model.regularizer()
        optimiser.zero_grad(); loss.backward(); optimiser.step()
print(json.dumps(dict(final=epoch, cpu_seconds=cpu() - before, wall_seconds=time.perf_counter() - started, arguments=vars(a), **measure(model))), flush=True)
