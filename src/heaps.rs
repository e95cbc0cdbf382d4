//! Finds the damage on which HDF5 would work for ever.
//!
//! HDF5 keeps texts of any length in pieces of the file that it calls global heaps: `GCOL`, then a version, the heap's
//! size, and objects one after the other. Each has a number, and its length tells where the next one begins. Number 0 is
//! unused room. Where such room has length 0, HDF5 2.2 looks at the same place again and again
//! (`H5HG__cache_heap_deserialize`).
//!
//! Source: HDF5 File Format Specification, III.E, <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.

use memchr::memmem;

const SIGNATURE: &[u8] = b"GCOL";

/// Whether HDF5 might work for ever on a file with these contents. `lengths` is the number of bytes of a length in it.
pub(crate) fn is_endless(contents: &[u8], lengths: usize) -> bool {
    memmem::find_iter(contents, SIGNATURE)
        .map(|start| &contents[start..])
        .any(|heap| has_endless_object(heap, lengths) == Some(true))
}

/// `None` if the heap ends before its last object.
fn has_endless_object(heap: &[u8], lengths: usize) -> Option<bool> {
    let length = |place: usize| {
        let bytes = heap.get(place..place.checked_add(lengths)?)?;
        Some(bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)))
    };
    // Version and reserved bytes, or number, references and reserved bytes, and a length.
    let header = (8 + lengths).next_multiple_of(8);
    let end = usize::try_from(length(8)?).ok()?;
    let mut place = header;
    while place.checked_add(header)? <= end {
        let number = heap.get(place..place + 2)?;
        let size = usize::try_from(length(place + 8)?).ok()?;
        let step = if number == [0, 0] { size } else { header.checked_add(size.checked_next_multiple_of(8)?)? };
        if step == 0 {
            return Some(true);
        }
        place = place.checked_add(step)?;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two objects, of 5 and 8 bytes, and unused room.
    fn heap(room: u64) -> Vec<u8> {
        let mut heap = b"GCOL\x01\0\0\0".to_vec();
        heap.extend(112_u64.to_le_bytes());
        for (number, size, contents) in [(1_u8, 5_u64, 8), (2, 8, 8), (0, room, 32)] {
            heap.extend([number, 0, 1, 0, 0, 0, 0, 0]);
            heap.extend(size.to_le_bytes());
            heap.extend(vec![7; contents]);
        }
        heap
    }

    #[test]
    fn room_of_length_0_is_found_wherever_the_heap_is() {
        for before in [0, 1, 100] {
            let file = |room| [vec![1; before], heap(room), vec![2; 50]].concat();
            assert!(!is_endless(&file(48), 8));
            assert!(is_endless(&file(0), 8));
            // HDF5 refuses what leads out of the heap.
            for room in [1, 49, u64::MAX, u64::MAX - 7] {
                assert!(!is_endless(&file(room), 8), "{room}");
            }
        }
        let whole = heap(0);
        for length in 0..=whole.len() {
            is_endless(&whole[..length], 8);
            is_endless(&whole[..length], 4);
        }
    }
}
