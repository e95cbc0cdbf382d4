"""Makes a CPU libtorch out of downloaded wheels: `unpack_libtorch.py WHEELS TARGET VERSION`."""

import shutil
import sys
import zipfile
from pathlib import Path

# What the CPU part does without: CUDA, Python's own module, and libraries that only tie those together.
LEFT_OUT = ("cuda", "python", "nvrtc", "nvshmem", "libshm", "libtorch_global_deps")


def wanted(name):
    """Where a file of a wheel goes below TARGET, or None."""
    path = Path(name)
    if name.startswith("torch/include/"):
        return path.relative_to("torch")
    if path.parent == Path("torch/lib"):
        library = ".so" in path.name or path.suffix == ".dylib"
        # The CUDA build's libtorch.so asks for the CUDA libraries: set-up puts an empty one in its place.
        if library and path.name != "libtorch.so" and not any(part in path.name for part in LEFT_OUT):
            return Path("lib") / path.name
    if name.startswith("torch/") and path.parent.name == ".dylibs":
        return Path(".dylibs") / path.name
    if path.name.startswith(("libcudart.so.", "libcupti.so.")):
        return Path("lib") / path.name
    return None


def main():
    wheels, target, version = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                to = None if entry.is_dir() else wanted(entry.filename)
                if to is None:
                    continue
                (target / to).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(target / to, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
    (target / "build-version").write_text(version + "\n")


main()
