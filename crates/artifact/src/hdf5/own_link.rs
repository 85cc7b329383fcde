//! Whether a name leads to an object without leaving the file, which the high-level crate cannot
//! tell.
#![allow(unsafe_code)]

use hdf5_sys::h5::herr_t;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5o::{H5Oclose, H5Oopen};
use hdf5_sys::h5p::{H5P_CLS_LINK_ACCESS, H5Pclose, H5Pcreate, H5Pset_elink_cb};
use std::ffi::CString;
use std::os::raw::{c_char, c_uint, c_void};
use std::ptr::null_mut;

/// Whether the object of this name, which exists, is reached without an external link. A link back
/// into the same file is an external link, too.
pub(super) fn is_own(file: &hdf5::File, name: &str) -> hdf5::Result<bool> {
    let name = CString::new(name).map_err(|_| hdf5::Error::from("a name with a NUL"))?;
    let file = file.id();
    hdf5::sync::sync(|| {
        // SAFETY: the class is a constant of the library; a negative handle is an error.
        let list = unsafe { H5Pcreate(*H5P_CLS_LINK_ACCESS) };
        if list < 0 {
            return Err(hdf5::Error::query()?);
        }
        // SAFETY: the list is open, and the function ignores its arguments. The object is opened
        // with a name that ends with NUL, and what was opened is closed once.
        let object = unsafe {
            H5Pset_elink_cb(list, Some(refuse), null_mut());
            let object = H5Oopen(file, name.as_ptr(), list);
            H5Pclose(list);
            if object >= 0 {
                H5Oclose(object);
            }
            object
        };
        Ok(object >= 0)
    })
}

/// Keeps HDF5 from following an external link.
extern "C" fn refuse(
    _: *const c_char,
    _: *const c_char,
    _: *const c_char,
    _: *const c_char,
    _: *mut c_uint,
    _: hid_t,
    _: *mut c_void,
) -> herr_t {
    -1
}
