"""Writes a small file in the layout of the NWB 1 files of the Allen Brain Observatory (session B), and what AllenSDK reads from it.

pynwb only writes NWB 2, so h5py 3.16 writes this file, with the names that AllenSDK 2.16.2 (`BrainObservatoryNwbDataSet`) expects: dF/F
(cells, time), a blank of -1, presentations in frames of dF/F, images as f4 with byte values, running speed that is a few samples
shorter. The file is zipped into `nwb1.zip`; `expected1.npz` has what that class reads, and the window means by NumPy.
"""

import pathlib
import zipfile

import h5py
import numpy as np
from allensdk.core.brain_observatory_nwb_data_set import BrainObservatoryNwbDataSet

here = pathlib.Path(__file__).parent
path = here / "allen-1.nwb"
rng = np.random.default_rng(11)
cells, samples = 4, 540
times = 9.36 + np.arange(samples) / 30.0
quarters = lambda *shape: np.round(rng.gamma(2.0, size=shape) * 4) / 4

with h5py.File(path, "w") as file:

    def put(name, data, **more):
        # Strings have fixed length in these files, and AllenSDK reads no others.
        data = np.bytes_(data) if isinstance(data, str) else data
        large = np.ndim(data) > 0 and np.size(data) > 100
        file.create_dataset(name, data=data, **({"compression": 9, "shuffle": True} if large else {}), **more)

    put("nwb_version", "NWB-1.0.5")
    put("general/session_type", "three_session_B")
    put("general/session_id", "501498760")
    put("general/optophysiology/imaging_plane_1/location", "VISp")
    put("general/optophysiology/imaging_plane_1/imaging depth", "275 microns")
    pipeline = "processing/brain_observatory_pipeline"
    for kind in ["DfOverF", "Fluorescence"]:
        put(f"{pipeline}/{kind}/imaging_plane_1/data", quarters(cells, samples).astype("f4"))
        put(f"{pipeline}/{kind}/imaging_plane_1/timestamps", times)
    put(f"{pipeline}/ImageSegmentation/cell_specimen_ids", 517_000_000 + 7 * np.arange(cells))
    put(f"{pipeline}/ImageSegmentation/roi_ids", np.arange(cells).astype("S"))
    put(f"{pipeline}/BehavioralTimeSeries/running_speed/data", quarters(samples - 6, 1) - 2)
    put(f"{pipeline}/BehavioralTimeSeries/running_speed/timestamps", times[3:-3])
    size = quarters(samples)
    size[100] = np.nan
    put(f"{pipeline}/PupilTracking/pupil_size/data", size)
    put(f"{pipeline}/PupilTracking/pupil_size/timestamps", times)
    for name in ["pupil_location", "pupil_location_spherical"]:
        put(f"{pipeline}/EyeTracking/{name}/data", quarters(samples, 2))
        put(f"{pipeline}/EyeTracking/{name}/timestamps", times)
    scenes = rng.integers(0, 256, (12, 6, 8)).astype("f4")
    put("stimulus/templates/natural_scenes_image_stack/data", scenes)
    shown = np.concatenate([rng.permutation(np.arange(-1, 12)) for _ in range(4)])
    start = 20 + 8 * np.arange(len(shown))
    presentation = "stimulus/presentation/natural_scenes_stimulus"
    put(f"{presentation}/data", shown)
    put(f"{presentation}/frame_duration", np.stack([start, start + 7], axis=1))
    put(f"{presentation}/timestamps", times[start])
    put("stimulus/presentation/natural_movie_one_stimulus/data", np.arange(3))

data = BrainObservatoryNwbDataSet(str(path))
times, dff = data.get_dff_traces()
table = data.get_stimulus_table("natural_scenes")
pupil_times, size = data.get_pupil_size()
eye_times, eye = data.get_pupil_location(as_spherical=False)
speed, speed_times = data.get_running_speed()
rows = []
for trial, (image, start) in enumerate(zip(table["frame"], table["start"])):
    onset = times[start]
    inside = (times >= onset + 0.05) & (times < onset + 0.55)
    slope = np.polyfit(pupil_times[inside] - pupil_times[inside].mean(), size[inside], 1)[0]
    running = np.abs(speed[(speed_times >= onset + 0.05) & (speed_times < onset + 0.55)]).mean()
    # The middle of the window coincides with a sample, up to the rounding of its time.
    middle = np.searchsorted(eye_times, onset + 0.3 + 1e-6, side="right") - 1
    row = (trial, image, *dff[:, inside].astype("f8").mean(axis=1), size[inside].mean(), slope, running, *eye[middle])
    if image != -1 and np.isfinite(row).all():
        rows.append(row)
rows = np.array(rows)
np.savez_compressed(
    here / "expected1.npz",
    trial=rows[:, 0].astype("i8"),
    image=rows[:, 1].astype("i8"),
    responses=rows[:, 2:6].astype("f4"),
    behavior=rows[:, 6:9].astype("f4"),
    pupil=rows[:, 9:].astype("f4"),
    images=data.get_stimulus_template("natural_scenes").astype("u1"),
    units=data.get_cell_specimen_ids(),
)
with zipfile.ZipFile(here / "nwb1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
path.unlink()
