"""Makes the HDF5 files that other programs write: types, filters, links, attributes, containers.

Run with h5py 3.16, hdf5plugin 7.1 and NumPy 2.4:

    python tests/data/make_hdf5.py
"""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

FOLDER = Path(__file__).parent

# 0 to 39: every type holds them exactly.
VALUES = np.arange(40.0).reshape(4, 10, 1)
TYPES = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8",
         "u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8"]


def types(file):
    """The same values in all types, shapes and filters."""
    for name in TYPES:
        file[f"types/{np.dtype(name).name}{'_be' if name[0] == '>' else ''}"] = VALUES.astype(name)
    file["shapes/steps"] = VALUES[0, :, 0]
    file["shapes/samples_steps"] = VALUES[:, :, 0]
    file["shapes/channels"] = np.concatenate([VALUES, -VALUES], axis=2)
    create = file.create_dataset
    create("filters/gzip_shuffle", data=VALUES, chunks=(3, 4, 1), compression="gzip", shuffle=True)
    create("filters/lzf", data=VALUES, chunks=(1, 10, 1), compression="lzf")
    create("filters/fletcher32", data=VALUES, chunks=(2, 10, 1), fletcher32=True)
    create("filters/scale_offset_integer", data=VALUES.astype("i2"), chunks=(2, 10, 1), scaleoffset=0)
    create("filters/scale_offset_float", data=VALUES, chunks=(2, 10, 1), scaleoffset=1)
    create("missing/zstd", data=VALUES, chunks=(4, 10, 1), **hdf5plugin.Zstd())
    create("missing/blosc", data=VALUES, chunks=(4, 10, 1), **hdf5plugin.Blosc())
    # As a program writes it that has a filter of its own.
    own = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    own.set_chunk((4, 10, 1))
    own.set_filter(40000, h5py.h5z.FLAG_OPTIONAL)
    space, name = h5py.h5s.create_simple(VALUES.shape), b"missing/own"
    h5py.h5d.create(file.id, name, h5py.h5t.IEEE_F64LE, space, dcpl=own)
    holes = VALUES.copy()
    holes[2, 5, 0], holes[3, 7, 0] = np.nan, -np.inf
    file["holes"] = holes
    file["no_numbers/text"] = ["a", "b"]
    file["no_numbers/complex"] = VALUES.astype("c16")
    file["no_numbers/boolean"] = VALUES > 5
    file["no_numbers/table"] = np.zeros(3, dtype=[("time", "f8"), ("count", "i4")])
    file["no_numbers/empty"] = h5py.Empty("f8")
    file["no_numbers/no_samples"] = np.zeros((0, 10, 1))
    file["no_numbers/four_dimensions"] = np.zeros((1, 2, 3, 4))
    file["no_numbers/one_number"] = 1.5
    file.create_dataset("no_numbers/too_large", shape=(1 << 30, 1 << 20, 1), dtype="f8")


def links(file):
    """Soft, external and broken links, groups that hold themselves."""
    file["data/X"] = VALUES
    file["data/X"].attrs["units"] = "pA"
    file["data/itself"] = file["data"]
    file["a_soft"] = h5py.SoftLink("/data/X")
    file["a_soft_group"] = h5py.SoftLink("/data")
    file["external"] = h5py.ExternalLink("hdf5_types.h5", "/types/int16")
    file["broken_soft"] = h5py.SoftLink("/data/gone")
    file["broken_file"] = h5py.ExternalLink("gone.h5", "/X")
    file["broken_place"] = h5py.ExternalLink("hdf5_types.h5", "/gone")


def attributes(file):
    """Attributes of all kinds."""
    file["X"] = VALUES
    attrs = file.attrs
    attrs["text"] = "µV"
    attrs["fixed"] = np.bytes_("pA")
    attrs["fixed_list"] = np.array([b"one", b"three"])
    attrs.create("fixed_utf8", "µs".encode(), dtype=h5py.string_dtype("utf-8", 8))
    attrs["latin1"] = np.bytes_("µV".encode("latin-1"))
    attrs.create("long", b"x" * 1500, dtype="S1500")
    attrs["list"] = ["a", "b"]
    attrs["no_texts"] = np.array([], dtype="S3")
    attrs["integer"] = np.int16(-3)
    attrs["unsigned"] = np.uint64(2**64 - 1)
    attrs["float"] = 0.25
    attrs["float16"] = np.float16(0.5)
    attrs["big_endian"] = np.array([1, 2], dtype=">i4")
    attrs["nan"] = np.nan
    attrs["boolean"] = True
    attrs["booleans"] = [True, False]
    attrs["matrix"] = [[1, 2, 3], [4, 5, 6]]
    attrs["many"] = np.arange(1001, dtype="f2")
    attrs["empty"] = h5py.Empty("f4")
    attrs["empty_text"] = h5py.Empty("S3")
    attrs["compound"] = np.zeros(1, dtype=[("a", "i4"), ("b", "f8")])
    attrs.create("enum", 1, dtype=h5py.enum_dtype({"off": 0, "on": 1}))
    attrs["reference"] = file["X"].ref
    attrs["region"] = file["X"].regionref[0]
    attrs["opaque"] = np.void(b"abc")
    attrs["complex"] = 1 + 2j
    attrs.create("long_double", 1.5, dtype=np.longdouble)
    attrs.create("array", np.zeros((2, 2)), dtype=np.dtype(("f8", (2, 2))))
    ragged = np.empty(1, dtype=object)
    ragged[0] = np.arange(2, dtype="i4")
    attrs.create("ragged", ragged, dtype=h5py.vlen_dtype("i4"))
    file["X"].attrs["units"] = np.bytes_("pA")


def containers(file):
    """What is at the beginning of a file and how its parts are indexed."""
    file["X"] = VALUES
    file["X"].attrs["unit"] = ["pA"]
    file.create_dataset("chunked", data=VALUES, chunks=(2, 3, 1), compression="gzip")
    file.create_dataset("growing", data=VALUES, chunks=(2, 3, 1), maxshape=(None, 10, 1))


def in_big_endian(source, file):
    """The weights and the optimiser's state of a model, as a program on a big-endian machine would write them."""
    def copy(name, item):
        if isinstance(item, h5py.Dataset):
            file.create_dataset(name, data=item[()], dtype=item.dtype.newbyteorder(">"))
        else:
            file.require_group(name)
        for attribute, value in item.attrs.items():
            file[name].attrs[attribute] = value

    source.visititems(copy)


with h5py.File(FOLDER / "hdf5_types.h5", "w", libver=("v110", "v110")) as file:
    types(file)
with h5py.File(FOLDER / "hdf5_links.h5", "w", libver=("earliest", "v110")) as file:
    links(file)
with h5py.File(FOLDER / "hdf5_attributes.h5", "w", libver=("earliest", "v110")) as file:
    attributes(file)
with h5py.File(FOLDER / "hdf5_latest.h5", "w", libver="latest") as file:
    containers(file)
with h5py.File(FOLDER / "hdf5_userblock.h5", "w", userblock_size=2048) as file:
    containers(file)
with h5py.File(FOLDER / "keras_2_15.weights.h5") as source, h5py.File(FOLDER / "hdf5_be.weights.h5", "w") as file:
    in_big_endian(source, file)
with open(FOLDER / "hdf5_userblock.h5", "r+b") as file:
    file.write(b"MATLAB 7.3 MAT-file".ljust(126) + b"\x00\x02IM")
