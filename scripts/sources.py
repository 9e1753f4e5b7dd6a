"""Which files belong to the project: what git tracks or would track, or every file where there is no git checkout."""
import os
import subprocess
from pathlib import Path

SKIPPED_FOLDERS = {".git", "build", ".cache", "out"}
CPP_SUFFIXES = (".h", ".cpp", ".c")


def project_files(root):
    """Paths relative to `root`, sorted, as strings with forward slashes."""
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            listed += [Path(folder, name).relative_to(root).as_posix() for name in names]
    return sorted(name for name in listed if name and Path(root, name).is_file())


def is_cpp(name):
    return name.endswith(CPP_SUFFIXES)


def is_header(name):
    """A header that must compile alone; .inl.h files are included once per instruction set and may not."""
    return name.endswith(".h") and not name.endswith(".inl.h")


def read_text(path):
    """The text of a file, or None when it holds binary data."""
    data = Path(path).read_bytes()
    if b"\0" in data[:8192]:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
