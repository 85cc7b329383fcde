"""Writes a small session in experanto's folders (as its repository's `tests/create_*.py` write them: NumPy 2.4, PyYAML 6.0), zipped,
and the responses by the definition of the format: for each neuron, the mean of the samples whose time, start + index / rate + phase
shift, lies from 0.05 s to 0.55 s after image onset.

Times are seconds since 1970, as in the lab's sessions. Six images are shown in sixteen screen trials, with a blank, a video and a trial
of class INVALID in between. One image trial is marked as invalid, one has no tier, in one the eye was lost, and the last ends after the
responses do.
"""

import pathlib
import shutil
import zipfile

import numpy as np
import yaml

here = pathlib.Path(__file__).parent
root = here / "dynamic17-3-5-Video-0_30hz"
shutil.rmtree(root, ignore_errors=True)
rng = np.random.default_rng(5)
neurons, height, width, start = 4, 5, 8, 1_520_000_123.25


def series(name, data, rate, mapped, begin, **more):
    folder = root / name
    (folder / "meta").mkdir(parents=True)
    meta = {
        "modality": "sequence",
        "sampling_rate": rate,
        "start_time": begin,
        "end_time": begin + len(data) / rate,
        "n_signals": data.shape[1],
        "is_mem_mapped": mapped,
    }
    if mapped:
        meta |= {"dtype": str(data.dtype), "n_timestamps": len(data)}
        data.tofile(folder / "data.mem")
    else:
        np.save(folder / "data.npy", data)
    if "shifts" in more:
        meta["phase_shift_per_signal"] = True
        np.save(folder / "meta" / "phase_shifts.npy", more["shifts"])
    (folder / "meta.yml").write_text(yaml.safe_dump(meta))
    return data, rate, begin, more.get("shifts", np.zeros(data.shape[1]))


seconds = 17.0
responses = series(
    "responses", rng.gamma(2.0, size=(int(seconds * 30), neurons)).astype("f4"), 30.0, True, start, shifts=np.array([0.0, 0.013, 0.02, 1 / 30])
)
eye = series("eye_tracker", rng.normal(size=(int(seconds * 20) + 20, 4)), 20.0, False, start - 0.1)
treadmill = series("treadmill", rng.normal(size=(int(seconds * 100) + 90, 1)), 100.0, True, start - 0.2)

images = ((np.arange(6 * height * width) * 53) % 256).astype("u1").reshape(6, height, width)
images[:, 0, 0] = np.arange(6)
order = ["i0", "i1", "blank", "i2", "i4", "video", "i3", "i5", "INVALID", "i4", "i1-invalid", "i0-tierless", "i5", "i2-lost", "i4", "i5-late"]
tiers = {0: "train", 1: "train", 2: "train", 3: "validation", 4: "test", 5: "test"}
screen = root / "screen"
(screen / "meta").mkdir(parents=True)
(screen / "data").mkdir()
times, clock = [], start + 0.4137
expected = []
for trial, what in enumerate(order):
    frames = 3 if what == "video" else 1
    meta = {"modality": "image", "image_size": [height, width], "first_frame_idx": len(times)}
    if what in ("blank", "INVALID"):
        meta = {"modality": what, "image_size": [height, width], "first_frame_idx": len(times), "interleave_value": 128, "tier": "train"}
    elif what == "video":
        meta |= {"modality": "video", "num_frames": frames, "tier": "train"}
        np.save(screen / "data" / f"{trial:05d}.npy", np.zeros((frames, height, width), "u1"))
    else:
        image = int(what[1])
        meta |= {"condition_hash": f"hash{image}", "stim_type": "stimulus.Frame", "tier": tiers[image], "valid_trial": what[3:] != "invalid"}
        if what[3:] == "tierless":
            del meta["tier"]
        np.save(screen / "data" / f"{trial:05d}.npy", images[image])
        if what[2:] == "":
            expected.append((trial, image, clock))
    if what == "i5-late":
        clock = start + seconds - 0.3
    if what == "i2-lost":
        eye[0][int(np.ceil((clock + 0.2 - (start - 0.1)) * 20)), 0] = np.nan
    times += [clock + frame / 30 for frame in range(frames)]
    (screen / "meta" / f"{trial:05d}.yml").write_text(yaml.safe_dump(meta))
    clock += 0.5 + 0.3 + rng.uniform(0, 0.2)
np.save(root / "eye_tracker" / "data.npy", eye[0])
np.save(screen / "timestamps.npy", np.array(times))
(screen / "meta.yml").write_text(yaml.safe_dump({"modality": "screen", "use_stimuli_names": False}))


def window_means(data, rate, begin, shifts, onset, value=lambda x: x):
    means = []
    for signal in range(data.shape[1]):
        sampled = (begin - onset) + np.arange(len(data)) / rate + shifts[signal]
        inside = (sampled >= 0.05 - 1e-4 / rate) & (sampled < 0.55 - 1e-4 / rate)
        means.append(value(data[inside, signal].astype("f8")).mean())
    return means


def at(data, rate, begin, time):
    return data[int(np.floor((time - begin) * rate + 1e-4))]


np.savez(
    here / "expected.npz",
    trial=np.array([trial for trial, _, _ in expected]),
    image=np.array([image for _, image, _ in expected]),
    responses=np.array([window_means(*responses, onset) for _, _, onset in expected], "f4"),
    behavior=np.array(
        [window_means(*eye, onset)[:2] + window_means(*treadmill, onset, np.abs) for _, _, onset in expected], "f4"
    ),
    pupil_center=np.array([at(*eye[:3], onset + 0.3)[2:] for _, _, onset in expected], "f4"),
    images=images,
)
with zipfile.ZipFile(here / "session.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            z.writestr(zipfile.ZipInfo(str(path.relative_to(here))), path.read_bytes(), zipfile.ZIP_DEFLATED)
shutil.rmtree(root)
