//! Edits of a valid HDF5 file through its library: unexpected links, types, shapes, layouts,
//! filters and attributes in files that the library considers valid.

use super::program::Program;
use hdf5::filters::{BloscShuffle, ScaleOffset};
use hdf5::plist::dataset_create::Layout;
use hdf5::types::{FixedAscii, TypeDescriptor, VarLenUnicode};
use hdf5::{File, Group, H5Type, Hyperslab, LocationType, Selection, SliceOrIndex};
use ndarray::{ArrayD, IxDyn};
use std::path::Path;

const EDITS: usize = 16;
/// Maximum number of values that an edit writes.
const WRITTEN: usize = 4096;

/// Names that the readers look for, in addition to those in the file.
const NAMES: [&str; 14] = [
    "images",
    "behavior",
    "pupil_center",
    "neurons/unit_ids",
    "item_info/image_id",
    "item_info/frame_image_id",
    "item_info/trial_idx",
    "neurons/cell_motor_coordinates",
    "donor_ids",
    "ground_truth/image_ids",
    "timestamps",
    "starting_time",
    "order_of_images",
    "again",
];

const ATTRIBUTES: [&str; 20] = [
    "range",
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "_Unsigned",
    "MATLAB_class",
    "format",
    "version",
    "kind",
    "scan",
    "neurodata_type",
    "nwb_version",
    "conversion",
    "offset",
    "rate",
    "table",
    "unit",
    "seed",
    "colnames",
];

const TEXTS: [&str; 12] = [
    "",
    "true",
    "brainprior-similarity",
    "brainprior-responses",
    "Units",
    "RoiResponseSeries",
    "IndexSeries",
    "ImageSeries",
    "GrayscaleImage",
    "TimeIntervals",
    "DfOverF",
    "2.7.0",
];

/// Copies `original` to `path` and applies the program's edits to it. Edits that the library
/// refuses are skipped.
pub fn edit(original: &[u8], path: &Path, program: &mut Program) {
    std::fs::write(path, original).expect("room for a small file");
    let _ = std::fs::remove_file(raw_beside(path.to_string_lossy().as_ref()));
    let Ok(file) = File::open_rw(path) else { return };
    let mut names = vec![];
    walk(&file, "", &mut names, 0);
    for _ in 0..EDITS {
        if program.is_over() || names.is_empty() {
            break;
        }
        let name = match program.byte() {
            0..=199 => program.pick(&names).clone(),
            _ => (*program.pick(&NAMES)).to_owned(),
        };
        let other = program.pick(&names).clone();
        let _ = one_edit(&file, &name, &other, program);
    }
    let _ = file.close();
}

/// File for data stored outside the HDF5 file.
fn raw_beside(file: &str) -> String {
    format!("{file}.raw")
}

/// Names of all groups and datasets.
fn walk(group: &Group, prefix: &str, names: &mut Vec<String>, depth: usize) {
    for name in group.member_names().unwrap_or_default() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        names.push(path.clone());
        let is_group = group.loc_type_by_name(&name).is_ok_and(|kind| kind == LocationType::Group);
        if let (true, true, Ok(inner)) = (is_group, depth < 8, group.group(&name)) {
            walk(&inner, &path, names, depth + 1);
        }
    }
}

fn one_edit(file: &File, name: &str, other: &str, program: &mut Program) -> hdf5::Result<()> {
    match program.below(12) {
        0 => file.unlink(name),
        1 => {
            let _ = file.unlink(other);
            file.relink(name, other)
        }
        2 => {
            let _ = file.unlink(name);
            file.link_soft(&format!("/{other}"), name)
        }
        3 => {
            let _ = file.unlink(name);
            file.link_hard(other, name)
        }
        4 => {
            let _ = file.unlink(name);
            let own = file.filename();
            file.link_external(
                if program.byte().is_multiple_of(2) { &own } else { "nowhere.h5" },
                other,
                name,
            )
        }
        5 => {
            let _ = file.unlink(name);
            file.create_group(name).map(drop)
        }
        6 => overwrite(file, name, program),
        7 | 8 => attribute(file, name, program),
        9 => {
            let names = match file.dataset(name) {
                Ok(dataset) => dataset.attr_names()?,
                Err(_) => file.group(name)?.attr_names()?,
            };
            if names.is_empty() {
                return Ok(());
            }
            let attribute = program.pick(&names).clone();
            match file.dataset(name) {
                Ok(dataset) => dataset.delete_attr(&attribute),
                Err(_) => file.group(name)?.delete_attr(&attribute),
            }
        }
        _ => replace(file, name, program),
    }
}

/// Overwrites numbers of a dataset.
fn overwrite(file: &File, name: &str, program: &mut Program) -> hdf5::Result<()> {
    let dataset = file.dataset(name)?;
    let count = dataset.size();
    // The library itself follows virtual data that lead back to themselves until its stack ends;
    // the readers refuse them before they read.
    let is_virtual = dataset.dcpl()?.get_layout()? == Layout::Virtual;
    if is_virtual || count == 0 || count > 100 * WRITTEN {
        return Ok(());
    }
    let mut values: Vec<f64> = dataset.read_raw()?;
    for _ in 0..=program.below(4) {
        let (first, length, value) =
            (program.word() % count, 1 + program.below(32), program.number());
        values.iter_mut().skip(first).take(length).for_each(|old| *old = value);
    }
    dataset.write_raw(&values[..])
}

/// Adds an attribute to the file, a dataset or a group.
fn attribute(file: &File, name: &str, program: &mut Program) -> hdf5::Result<()> {
    let dataset = file.dataset(name);
    let group = file.group(name);
    let owner: &hdf5::Location = match (program.byte() % 4, &dataset, &group) {
        (0, ..) => file,
        (_, Ok(dataset), _) => dataset,
        (_, _, Ok(group)) => group,
        _ => return Ok(()),
    };
    let known = owner.attr_names()?;
    let attribute = match program.byte() % 2 {
        0 if !known.is_empty() => program.pick(&known).clone(),
        _ => (*program.pick(&ATTRIBUTES)).to_owned(),
    };
    let _ = owner.delete_attr(&attribute);
    let attribute = attribute.as_str();
    let text = *program.pick(&TEXTS);
    match program.below(8) {
        0 => owner.new_attr::<f64>().create(attribute)?.write_scalar(&program.number()),
        1 => owner.new_attr::<i64>().create(attribute)?.write_scalar(&(program.number() as i64)),
        2 => {
            let values: Vec<f64> = (0..program.below(5)).map(|_| program.number()).collect();
            owner.new_attr::<f64>().shape(values.len()).create(attribute)?.write_raw(&values[..])
        }
        3 => owner
            .new_attr::<VarLenUnicode>()
            .create(attribute)?
            .write_scalar(&text.parse::<VarLenUnicode>().expect("no NUL in it")),
        4 => {
            let text = FixedAscii::<64>::from_ascii(text).expect("a short text");
            owner.new_attr::<FixedAscii<64>>().create(attribute)?.write_scalar(&text)
        }
        5 => owner
            .new_attr_builder()
            .empty::<u32>()
            .shape(hdf5::Extents::Null)
            .create(attribute)
            .map(drop),
        6 => owner.new_attr::<bool>().create(attribute)?.write_scalar(&true),
        _ => owner.new_attr::<FixedAscii<3000>>().create(attribute).map(drop),
    }
}

/// Replaces a dataset by one of any type, shape, layout and filter.
fn replace(file: &File, name: &str, program: &mut Program) -> hdf5::Result<()> {
    // A shape close to the old one gets farther than others.
    let mut shape = file.dataset(name).map(|dataset| dataset.shape()).unwrap_or_default();
    match program.below(6) {
        0 => shape = (0..program.below(5)).map(|_| program.size()).collect(),
        1 if !shape.is_empty() => {
            let axis = program.below(shape.len());
            shape[axis] = program.size();
        }
        2 => drop(shape.pop()),
        3 => shape.push(program.size()),
        4 => shape.reverse(),
        _ => {}
    }
    let _ = file.unlink(name);
    match program.below(12) {
        0 => dataset::<u8>(file, name, shape, program, |number| number as u8),
        1 => dataset::<i8>(file, name, shape, program, |number| number as i8),
        2 => dataset::<u16>(file, name, shape, program, |number| number as u16),
        3 => dataset::<i32>(file, name, shape, program, |number| number as i32),
        4 => dataset::<i64>(file, name, shape, program, |number| number as i64),
        5 => dataset::<u64>(file, name, shape, program, |number| number as u64),
        6 => dataset::<f32>(file, name, shape, program, |number| number as f32),
        7 => dataset::<f64>(file, name, shape, program, |number| number),
        8 => dataset::<bool>(file, name, shape, program, |number| number > 0.0),
        9 => dataset::<VarLenUnicode>(file, name, shape, program, |number| {
            TEXTS[number.abs() as usize % TEXTS.len()].parse().expect("no NUL in it")
        }),
        10 => dataset::<FixedAscii<8>>(file, name, shape, program, |number| {
            let tier = ["train", "test", "none"][number.abs() as usize % 3];
            FixedAscii::from_ascii(tier).expect("a short text")
        }),
        _ => file
            .new_dataset_builder()
            .empty::<f32>()
            .shape(hdf5::Extents::Null)
            .create(name)
            .map(drop),
    }
}

fn dataset<T: H5Type>(
    file: &File,
    name: &str,
    shape: Vec<usize>,
    program: &mut Program,
    value: impl Fn(f64) -> T,
) -> hdf5::Result<()> {
    // The hdf5 crate multiplies sizes before it checks them.
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul((*size).max(1)));
    let Some(count) = count.filter(|count| *count < isize::MAX as usize / 8) else { return Ok(()) };
    let count = if shape.contains(&0) { 0 } else { count };
    let mut builder = file.new_dataset_builder();
    let extents = hdf5::SimpleExtents::fixed(&shape);
    let chunk: Vec<usize> =
        shape.iter().map(|size| (*size).clamp(1, 1 + program.below(64))).collect();
    let filters = program.byte();
    if !shape.is_empty() && !filters.is_multiple_of(3) {
        builder = builder.chunk(&chunk[..]);
        builder = match filters % 9 {
            1 => builder.deflate(9),
            2 => builder.shuffle().deflate(1),
            4 => builder.lzf(),
            5 => builder.blosc_zstd(1, BloscShuffle::Byte),
            7 => builder.scale_offset(ScaleOffset::Integer(0)),
            8 => builder.fletcher32(),
            _ => builder,
        };
    } else if filters % 4 == 1 {
        builder = builder.layout(Layout::Compact);
    // The library itself cannot write variable-length strings to external files.
    } else if filters % 4 == 2 && T::type_descriptor() != TypeDescriptor::VarLenUnicode {
        let size = program.word();
        builder = builder.external(&raw_beside(&file.filename()), program.word(), size);
    }
    let is_virtual = filters % 5 == 4 && !shape.is_empty() && count > 0;
    if is_virtual {
        // Every row comes from another dataset.
        let mut sources = vec![];
        walk(file, "", &mut sources, 0);
        let Some(source) = sources.get(program.below(sources.len().max(1))) else { return Ok(()) };
        let Ok(found) = file.dataset(source) else { return Ok(()) };
        let source_shape = found.shape();
        for _ in 0..1 + program.below(3) {
            builder = builder.virtual_map(
                ".",
                source,
                hdf5::SimpleExtents::fixed(&source_shape),
                some_rows(&source_shape, program),
                hdf5::SimpleExtents::fixed(&shape),
                some_rows(&shape, program),
            );
        }
    }
    // The library crashes if it writes to virtual data behind some links; readers do not write.
    match count <= WRITTEN && !is_virtual && !program.byte().is_multiple_of(8) {
        true => {
            let (first, step) = (program.number(), f64::from(program.byte() % 4));
            let values = (0..count).map(|place| value(first + step * place as f64)).collect();
            let values = ArrayD::from_shape_vec(IxDyn(&shape), values)
                .expect("as many values as the shape says");
            let dataset = builder.empty::<T>().shape(extents).create(name)?;
            dataset.write(&values)
        }
        false => builder.empty::<T>().shape(extents).create(name).map(drop),
    }
}

/// Selects all of an array, or blocks of its first axis.
fn some_rows(shape: &[usize], program: &mut Program) -> Selection {
    if shape.is_empty() || program.byte().is_multiple_of(2) {
        return (..).into();
    }
    let start = program.below(4);
    let block = 1 + program.below(3);
    let step = block + program.below(3);
    let rows = match program.below(3) {
        0 => SliceOrIndex::Unlimited { start, step, block },
        _ => SliceOrIndex::SliceCount { start, step, count: 1 + program.below(6), block },
    };
    let rest = shape[1..].iter().map(|end| SliceOrIndex::SliceTo {
        start: 0,
        step: 1,
        end: *end,
        block: 1,
    });
    Hyperslab::from(std::iter::once(rows).chain(rest).collect::<Vec<_>>()).into()
}
