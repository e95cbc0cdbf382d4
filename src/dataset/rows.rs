//! Rows of a dataset, read in blocks into memory that is prepared for them.

use hdf5::{Dataspace, Datatype, H5Type, Hyperslab, SliceOrIndex};
use std::ops::Range;

/// Bytes that are read at a time: few enough to be still in the processor's cache when they are looked at.
const BLOCK_BYTES: usize = 1 << 19;

/// Reads rows, the entries of a dataset's first dimension, into `values`. HDF5 converts them. `check` gets each block
/// of them as soon as it is read, with the index in `values` at which it begins.
pub(super) fn read_rows<T: H5Type, E>(
    dataset: &hdf5::Dataset,
    rows: Range<usize>,
    values: &mut [T],
    mut check: impl FnMut(usize, &[T]) -> Result<(), E>,
) -> hdf5::Result<Result<(), E>> {
    if rows.is_empty() || !values.len().is_multiple_of(rows.len()) {
        return Err("the rows do not fit the memory".into());
    }
    let row_length = values.len() / rows.len();
    // A chunk is read once: HDF5 may have forgotten it when the next block comes.
    let chunk_rows = dataset.chunk().and_then(|chunk| chunk.first().copied()).unwrap_or(1).max(1);
    let block_rows = (BLOCK_BYTES / (row_length * size_of::<T>()).max(1)).max(1).next_multiple_of(chunk_rows);
    let mut first = rows.start;
    while first < rows.end {
        let last = ((first / block_rows + 1) * block_rows).min(rows.end);
        let [from, to] = [first, last].map(|row| (row - rows.start) * row_length);
        read_block(dataset, first..last, &mut values[from..to])?;
        if let Err(refused) = check(from, &values[from..to]) {
            return Ok(Err(refused));
        }
        first = last;
    }
    Ok(Ok(()))
}

fn read_block<T: H5Type>(dataset: &hdf5::Dataset, rows: Range<usize>, values: &mut [T]) -> hdf5::Result<()> {
    let mut shape = dataset.shape();
    let mut selection = vec![SliceOrIndex::from(..); shape.len()];
    if let (Some(length), Some(first)) = (shape.first_mut(), selection.first_mut()) {
        *length = rows.len();
        *first = rows.into();
    }
    let (memory, file) = (Dataspace::try_new(shape)?, dataset.space()?.select(Hyperslab::from(selection))?);
    if file.selection_size() != values.len() || memory.size() != values.len() {
        return Err("the rows do not fit the memory".into());
    }
    let dtype = Datatype::from_type::<T>()?;
    let read = || {
        // SAFETY: all handles are open, the selection has as many elements as `values`, and `dtype` describes them. The
        // call is made under the lock that the crate holds during its own calls.
        hdf5::h5check(unsafe {
            hdf5_sys::h5d::H5Dread(
                dataset.id(),
                dtype.id(),
                memory.id(),
                file.id(),
                hdf5_sys::h5p::H5P_DEFAULT,
                values.as_mut_ptr().cast(),
            )
        })
    };
    hdf5::sync::sync(read).map(|_| ())
}

/// Memory for `count` values. `None` if there is not so much.
pub(super) fn memory<T: Clone + Default>(count: usize) -> Option<Vec<T>> {
    // `vec!` would end the program.
    Vec::<T>::new().try_reserve_exact(count).ok()?;
    let mut values = vec![T::default(); count];
    prefer_huge_pages(&mut values);
    Some(values)
}

/// Asks the system for huge pages, as NumPy does for its arrays. Filling new memory then takes a third of the time.
fn prefer_huge_pages<T>(values: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        /// From this size on they pay.
        const LARGE: usize = 4 << 20;
        /// A multiple of the size of a normal page on every processor.
        const PAGE: usize = 64 << 10;
        let bytes = values.as_mut_ptr().cast::<u8>();
        let skipped = bytes.align_offset(PAGE);
        let length = size_of_val(values).saturating_sub(skipped);
        if length >= LARGE {
            // SAFETY: the range is within `values`, and the advice does not change what it holds. A system without huge
            // pages refuses, which does not matter.
            unsafe { libc::madvise(bytes.add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
        }
    }
}
