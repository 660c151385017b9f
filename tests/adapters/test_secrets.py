from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import FakeClock
from tests.support.secret_stores import CANARY, refused

from pagebind.adapters.secrets import LARGEST_BYTES, KeptSecrets

if TYPE_CHECKING:
    from pathlib import Path

    from pagebind.ports.secrets import Secrets


@pytest.mark.parametrize("held", ["secret", "secret\n", "secret\r\n"])
def test_a_secret_comes_from_a_variable_or_a_file_without_its_newline(held: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(held.encode())
    secrets: Secrets = KeptSecrets({"TOKEN": held})
    assert secrets.get("env:TOKEN") == "secret"
    assert secrets.get(f"file:{tmp_path}/token") == "secret"


def test_spaces_belong_to_a_secret() -> None:
    assert KeptSecrets({"P": " pass word "}).get("env:P") == " pass word "


def test_a_file_is_read_again_after_five_minutes_or_when_forgotten(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "token"
    reference = f"file:{path}"
    secrets = KeptSecrets({}, clock)
    path.write_text("old", encoding="utf-8")
    assert secrets.get(reference) == "old"
    path.write_text("new", encoding="utf-8")
    clock.wait(299)
    assert secrets.get(reference) == "old"
    clock.wait(1)
    assert secrets.get(reference) == "new"
    path.write_text("newest", encoding="utf-8")
    secrets.forget(reference)
    assert secrets.get(reference) == "newest"
    secrets.forget("env:NEVER_SEEN")


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    secrets = KeptSecrets({})
    reference = f"file:{tmp_path}/token"
    refused(secrets, reference)
    (tmp_path / "token").write_text("there now", encoding="utf-8")
    assert secrets.get(reference) == "there now"


def test_a_reference_that_leads_nowhere_is_named() -> None:
    error = refused(KeptSecrets({"TOKEN_": CANARY}), "env:TOKEN")
    assert error.message == "env:TOKEN leads nowhere: there is no variable TOKEN in the environment"
    assert "TOKEN" in error.fix


@pytest.mark.parametrize("held", ["", "\n"])
def test_an_empty_secret_is_refused(held: str) -> None:
    assert refused(KeptSecrets({"TOKEN": held}), "env:TOKEN").message == "env:TOKEN is empty"


def test_a_secret_of_several_lines_is_refused() -> None:
    error = refused(KeptSecrets({"TOKEN": f"{CANARY}\n{CANARY}"}), "env:TOKEN")
    assert error.message.startswith("env:TOKEN holds more than one line")


@pytest.mark.parametrize(
    "text", [CANARY, f"alist-{CANARY}", f"env:alist-{CANARY}", f"file:{CANARY}", f"gcp:{CANARY}", ""]
)
def test_what_is_no_reference_is_not_shown(text: str) -> None:
    assert refused(KeptSecrets({}), text).message == "a secret is not given as a reference"


def test_files_that_cannot_be_a_secret(tmp_path: Path) -> None:
    secrets = KeptSecrets({})
    (tmp_path / "latin").write_bytes(f"{CANARY}\xe4".encode("latin-1"))
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_BYTES + 1))
    (tmp_path / "fits").write_bytes(b"x" * LARGEST_BYTES)
    expected = {
        "none": "leads nowhere: No such file or directory",
        "": "leads nowhere: Is a directory",
        "latin": "is not UTF-8 text",
        "large": "is longer than 64 KiB, so it is no secret",
    }
    for name, what in expected.items():
        reference = f"file:{tmp_path}/{name}"
        error = refused(secrets, reference)
        assert error.message == f"{reference} {what}"
        assert error.path == str(tmp_path / name)
    assert secrets.get(f"file:{tmp_path}/fits") == "x" * LARGEST_BYTES


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(CANARY, encoding="utf-8")
    path.chmod(0)
    assert refused(KeptSecrets({}), f"file:{path}").message == f"file:{path} leads nowhere: Permission denied"
