import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contracts.store_suite")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount something on a new folder; skips where that is not allowed."""
    mounted: list[Path] = []

    def act(*words: str) -> Path:
        if shutil.which("mount") is None or os.geteuid() != 0:
            pytest.skip("mounting takes root")
        folder = tmp_path / f"mount{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mount {words}: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield act
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def vfat(tmp_path: Path, mount: Callable[..., Path]) -> Path:
    """A file system that ignores case, knows no hard links and counts time in steps of two seconds."""
    make = shutil.which("mkfs.vfat")
    if make is None:
        pytest.skip("mkfs.vfat is not installed")
    image = tmp_path / "vfat.img"
    image.touch()
    os.truncate(image, 64 * 1024 * 1024)
    subprocess.run([make, str(image)], check=True, capture_output=True)
    return mount("-t", "vfat", "-o", "loop,utf8", str(image))
