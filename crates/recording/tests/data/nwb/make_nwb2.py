"""Writes small NWB 2 files (pynwb 4.2.0, hdmf 6.2.0, h5py 3.16, NumPy 2.4), and what pynwb reads from them.

`allen.nwb` has the layout of DANDI 000728 (written there by catalystneuro/visual-coding-to-nwb-v2): dF/F (time, cells), linked
timestamps, images without an order that are numbered by name, an IndexSeries of u4 in which the blank is -1 cast to 4294967295, and a
movie. `table.nwb` has spike times, twelve images in a stated order, and a table of intervals that names them. `shown.nwb` shows images as
an OpticalSeries, stores fluorescence cells first, at a rate, and has two planes.
They are zipped into `nwb2.zip`; `expected2.npz` has, for each, the onsets and images of its trials and the responses in the window by
NumPy, from what pynwb reads.
"""

import datetime
import pathlib
import warnings
import zipfile

import h5py
import numpy as np
from pynwb import NWBHDF5IO, H5DataIO, NWBFile, TimeSeries
from pynwb.base import Images, ImageReferences
from pynwb.behavior import BehavioralTimeSeries, CompassDirection, EyeTracking, PupilTracking, SpatialSeries
from pynwb.epoch import TimeIntervals
from pynwb.image import GrayscaleImage, Image, ImageSeries, IndexSeries, OpticalSeries
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, PlaneSegmentation, RoiResponseSeries

here = pathlib.Path(__file__).parent
day = datetime.datetime(2016, 7, 13, 12, tzinfo=datetime.timezone.utc)
expected = {}


def packed(values):
    return H5DataIO(np.asarray(values), compression="gzip", compression_opts=9, shuffle=True)


def new_file(name):
    return NWBFile(session_description="small", identifier=name, session_start_time=day)


def planes(file, count, cells):
    """One segmentation per plane, each with its own identifiers."""
    device = file.create_device(name="Microscope")
    segmentation = ImageSegmentation()
    file.processing["ophys"].add(segmentation)
    regions = []
    for plane in range(count):
        channel = {"name": f"channel{plane}", "description": "-", "emission_lambda": 520.0}
        imaging = file.create_imaging_plane(
            name="ImagingPlane" if count == 1 else f"ImagingPlane{plane}",
            optical_channel=OpticalChannel(**channel),
            description="a plane",
            device=device,
            excitation_lambda=910.0,
            indicator="GCaMP6f",
            location="VISp" if plane == 0 else "VISl",
        )
        table = PlaneSegmentation(
            name="PlaneSegmentation" if count == 1 else f"PlaneSegmentation{plane}", description="-", imaging_plane=imaging
        )
        if count == 1:
            table.add_column(name="global_roi_id", description="across sessions")
        for cell in range(cells):
            more = {"global_roi_id": 517_000_000 + 7 * cell} if count == 1 else {}
            table.add_roi(id=100 * plane + cell, pixel_mask=[(cell, cell, 1.0)], **more)
        segmentation.add_plane_segmentation(table)
        regions.append((table, cells))
    return regions


def window_means(data, times, onsets, lag=0.05, length=0.5):
    """(time, cells) to (onsets, cells): means of the samples from onset + lag up to onset + lag + length."""
    return np.array([data[(times >= onset + lag) & (times < onset + lag + length)].mean(axis=0) for onset in onsets])


def pictures(count, height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width)).astype("u1")


def write(file, name):
    path = here / name
    with NWBHDF5IO(path, "w") as io:
        io.write(file, cache_spec=False)
    return path


def allen():
    rng = np.random.default_rng(3)
    file = new_file("allen")
    file.create_processing_module(name="ophys", description="-")
    file.create_processing_module(name="behavior", description="-")
    cells = 4
    ((table, _),) = planes(file, 1, cells)
    region = table.create_roi_table_region(region=list(range(cells)), description="-")
    times = 9.36 + np.arange(540) / 30.0
    traces = lambda: packed(np.round(rng.gamma(2.0, size=(len(times), cells)) * 4) / 4)
    corrected = RoiResponseSeries(name="Corrected", data=traces(), timestamps=packed(times), unit="n.a.", rois=region)
    neuropil = RoiResponseSeries(name="Neuropil", data=traces(), timestamps=corrected, unit="n.a.", rois=region)
    file.processing["ophys"].add(Fluorescence(roi_response_series=[neuropil, corrected]))
    dff = RoiResponseSeries(name="DfOverF", data=traces(), timestamps=corrected, unit="a.u.", rois=region)
    events = RoiResponseSeries(name="DfOverFEvents", data=traces(), timestamps=corrected, unit="a.u.", rois=region)
    file.processing["ophys"].add(DfOverF(roi_response_series=[dff, events]))

    scenes = pictures(12, 6, 8, 5)
    images = Images(
        name="natural_scenes_template",
        description="-",
        images=[Image(name=f"NaturalScene{index}", data=scene, description="-") for index, scene in enumerate(scenes)],
    )
    file.add_stimulus_template(images)
    shown = np.concatenate([rng.permutation(np.arange(-1, 12)) for _ in range(4)])
    onsets = 10.0 + np.arange(len(shown)) * 0.25 + np.repeat([0.0, 0.5, 1.0, 1.5], 13)
    # Like the converter: -1 becomes 4294967295.
    file.add_stimulus(
        IndexSeries(
            name="natural_scenes_stimulus",
            data=packed(shown.astype("i8").astype("u4")),
            indexed_images=images,
            unit="N/A",
            timestamps=onsets,
        )
    )
    movie = ImageSeries(name="natural_movie_one_template", data=packed(pictures(3, 4, 4, 6)), unit="n.a.", rate=30.0)
    file.add_stimulus_template(movie)
    file.add_stimulus(
        IndexSeries(
            name="natural_movie_one_stimulus",
            data=np.arange(3, dtype="u4"),
            indexed_images=images,
            unit="N/A",
            timestamps=26.0 + np.arange(3) / 30,
        )
    )
    running = packed(np.round(rng.normal(size=len(times) - 6) * 4) / 4)
    speed = TimeSeries(name="running_speed", data=running, timestamps=packed(times[3:-3]), unit="cm/s")
    file.processing["behavior"].add(BehavioralTimeSeries(time_series=speed))
    size = np.round(rng.gamma(9.0, size=len(times)) * 4) / 4
    size[100] = np.nan
    file.processing["behavior"].add(
        PupilTracking(time_series=TimeSeries(name="pupil_size", data=packed(size), timestamps=packed(times), unit="px"))
    )
    for kind, name in [(EyeTracking, "pupil_location"), (CompassDirection, "pupil_location_spherical")]:
        place = np.round(rng.normal(size=(len(times), 2)) * 4) / 4
        series = SpatialSeries(name=name, data=packed(place), timestamps=packed(times), unit="m", reference_frame="-")
        file.processing["behavior"].add(kind(spatial_series=series))
    path = write(file, "allen.nwb")
    # pynwb wrote this in 2024 and now refuses to: an IndexSeries of an ImageSeries.
    with h5py.File(path, "a") as edited:
        del edited["stimulus/presentation/natural_movie_one_stimulus/indexed_images"]
        target = h5py.SoftLink("/stimulus/templates/natural_movie_one_template")
        edited["stimulus/presentation/natural_movie_one_stimulus/indexed_timeseries"] = target

    with NWBHDF5IO(path, "r") as io:
        read = io.read()
        series = read.stimulus["natural_scenes_stimulus"]
        dff = read.processing["ophys"]["DfOverF"]["DfOverF"]
        data, times, onsets = dff.get_data_in_units()[:], np.asarray(dff.get_timestamps()), series.timestamps[:]
        behavior = read.processing["behavior"]
        shown = series.data[:].astype("i8")
        pupil = behavior["PupilTracking"]["pupil_size"]
        speed = behavior["BehavioralTimeSeries"]["running_speed"]
        eye = behavior["EyeTracking"]["pupil_location"]
        rows = []
        for trial, (image, onset) in enumerate(zip(shown, onsets)):
            inside = (pupil.timestamps[:] >= onset + 0.05) & (pupil.timestamps[:] < onset + 0.55)
            values, at = pupil.data[:][inside], pupil.timestamps[:][inside]
            if image == 2**32 - 1 or np.isnan(values).any():
                continue
            slope = np.polyfit(at - at.mean(), values, 1)[0]
            ran = (speed.timestamps[:] >= onset + 0.05) & (speed.timestamps[:] < onset + 0.55)
            middle = np.searchsorted(eye.timestamps[:], onset + 0.3, side="right") - 1
            rows.append((trial, image, onset, values.mean(), slope, np.abs(speed.data[:][ran]).mean(), *eye.data[middle]))
        rows = np.array(rows)
        expected["allen_trial"], expected["allen_image"] = rows[:, 0].astype("i8"), rows[:, 1].astype("i8")
        expected["allen_responses"] = window_means(data, times, rows[:, 2]).astype("f4")
        expected["allen_behavior"], expected["allen_pupil"] = rows[:, 3:6].astype("f4"), rows[:, 6:].astype("f4")
        named = read.stimulus_template["natural_scenes_template"].images
        expected["allen_images"] = np.array([named[f"NaturalScene{index}"].data[:] for index in range(12)])
        expected["allen_units"] = np.array(read.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]["global_roi_id"][:])


def table():
    rng = np.random.default_rng(4)
    file = new_file("table")
    shades = pictures(12, 4, 6, 8)
    images = [GrayscaleImage(name=f"im{index}", data=shade) for index, shade in enumerate(shades)]
    order = rng.permutation(12)
    file.add_stimulus_template(
        Images(
            name="photographs",
            description="-",
            images=images,
            order_of_images=ImageReferences(name="order_of_images", data=[images[index] for index in order]),
        )
    )
    intervals = TimeIntervals(name="photographs_presentations", description="-")
    intervals.add_column(name="image_name", description="what was shown")
    intervals.add_column(name="stimulus_index", description="its place in the order")
    clock, trials = 5.0, []
    for place in np.concatenate([rng.permutation(np.arange(-1, 12)) for _ in range(3)]):
        name = "blank" if place < 0 else f"im{order[place]}"
        intervals.add_interval(start_time=clock, stop_time=clock + 0.25, image_name=name, stimulus_index=int(place))
        trials.append((int(place), clock))
        clock += 0.5 + rng.uniform(0, 0.2)
    file.add_time_intervals(intervals)
    for unit in range(3):
        spikes = np.sort(rng.uniform(4.0, clock + 1.0, 60 * (unit + 1)))
        file.add_unit(id=10 + unit, spike_times=spikes)
    path = write(file, "table.nwb")
    with NWBHDF5IO(path, "r") as io:
        read = io.read()
        kept = [(place, onset) for place, onset in trials if place >= 0]
        spikes = [read.units["spike_times"][unit] for unit in range(3)]
        expected["table_responses"] = np.array(
            [[((times >= onset + 0.05) & (times < onset + 0.55)).sum() for times in spikes] for _, onset in kept], "f4"
        )
        in_order = read.stimulus_template["photographs"].order_of_images
        expected["table_images"] = np.array([in_order[place].data[:] for place in range(12)])
        expected["table_image"] = np.array([place for place, _ in kept])


def shown():
    rng = np.random.default_rng(6)
    file = new_file("shown")
    file.create_processing_module(name="ophys", description="-")
    cells, samples, rate = 3, 400, 10.0
    series, traces = [], []
    for plane, (table, _) in enumerate(planes(file, 2, cells)):
        values = np.round(rng.gamma(2.0, size=(cells, samples)) * 8).astype("i2")
        region = table.create_roi_table_region(region=list(range(cells)), description="-")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            series.append(
                RoiResponseSeries(
                    name=f"RoiResponseSeries{plane}",
                    data=packed(values),
                    rate=rate,
                    starting_time=2.0 + 0.03 * plane,
                    conversion=1 / 64,
                    unit="a.u.",
                    rois=region,
                )
            )
    file.processing["ophys"].add(Fluorescence(roi_response_series=series))
    frames = pictures(5, 4, 7, 9)
    order = np.concatenate([rng.permutation(5) for _ in range(6)])
    onsets = 3.0 + np.arange(30) * 1.1
    file.add_stimulus(
        OpticalSeries(
            name="photographs",
            data=packed(frames[order]),
            timestamps=onsets,
            unit="n.a.",
            distance=0.15,
            field_of_view=[1.0, 1.0],
            orientation="-",
            dimension=[7, 4],
        )
    )
    path = write(file, "shown.nwb")
    with NWBHDF5IO(path, "r") as io:
        fluorescence = io.read().processing["ophys"]["Fluorescence"]
        columns = []
        for plane in range(2):
            series = fluorescence[f"RoiResponseSeries{plane}"]
            times = series.starting_time + np.arange(samples) / series.rate
            columns.append(window_means(series.get_data_in_units()[:].T, times, onsets))
        expected["shown_responses"] = np.concatenate(columns, axis=1).astype("f4")
        expected["shown_image"], expected["shown_images"] = order, frames


allen()
table()
shown()
np.savez_compressed(here / "expected2.npz", **expected)
with zipfile.ZipFile(here / "nwb2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for name in ["allen.nwb", "table.nwb", "shown.nwb"]:
        archive.writestr(zipfile.ZipInfo(name), (here / name).read_bytes(), zipfile.ZIP_DEFLATED)
        (here / name).unlink()
