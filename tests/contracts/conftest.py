import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pagebind.adapters.stores.s3 import connect
from pagebind.adapters.stores.s3_client import Client
from pagebind.demo.object_stores import S3Server

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


@pytest.fixture(scope="session")
def s3_connect(s3_server: S3Server) -> Iterator[Callable[[str], Client]]:
    """Connects to a server with two buckets, ``work`` and ``library``, with checksums ``on`` or ``off``."""
    clients: list[Client] = []
    for bucket in ("work", "library"):
        s3_server.create_bucket(bucket)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_server.environment().items():
            environment.setenv(name, value)

        def connect_to_it(checksums: str) -> Client:
            clients.append(
                connect(endpoint=s3_server.url, region=None, addressing="auto", checksums=checksums, connections=16)
            )
            return clients[-1]

        yield connect_to_it
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def s3_client(s3_connect: Callable[[str], Client]) -> Client:
    return s3_connect("on")


@pytest.fixture(scope="session")
def s3_client_without_checksums(s3_connect: Callable[[str], Client]) -> Client:
    return s3_connect("off")


@pytest.fixture
def s3_prefix() -> str:
    """The test's own."""
    return f"{uuid.uuid4().hex}/a b/"
