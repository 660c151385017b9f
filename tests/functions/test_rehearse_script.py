"""`tests/rehearse`, the script: what it answers before it installs anything, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a script of the shell")

SCRIPTS = ("tests/rehearse", "tests/rehearsal/usage.py")

PYTHON = f"""#!/usr/bin/env bash
case $* in
  tests/rehearsal/usage.py*) exec {sys.executable} "$@" ;;
  "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  -I*) exit "$(cat linked)" ;;
esac
echo "$(basename "$(dirname "$(dirname "$0")")") $*" >> called
"""
"""Stands for Python: makes environments like itself; ``linked`` holds the status of whoever asks what is in one."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in SCRIPTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    _write_script(tmp_path / "tests" / "install-emulator", "#!/usr/bin/env bash\n")
    _write_script(tmp_path / "python", PYTHON)
    return tmp_path


def _write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def rehearse(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "tests" / "rehearse", *words],
        env={**os.environ, "PYTHON": str(checkout / "python")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["--keep", "-h"], 0), (["--sed", "1"], 2)])
def test_words_are_answered_before_anything_is_installed(checkout: Path, words: list[str], status: int) -> None:
    before = sorted(checkout.rglob("*"))
    done = rehearse(checkout, *words)
    assert done.returncode == status
    assert (done.stdout + done.stderr).startswith("usage: tests/rehearse [-h] [--keep] [--seed SEED]")
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize(
    ("linked", "environment"), [("0", ".venv"), ("1", ".venv-rehearsal"), (None, ".venv-rehearsal")]
)
def test_an_environment_with_another_pagebind_stays_as_it_is(
    checkout: Path, linked: str | None, environment: str
) -> None:
    if linked is not None:
        (checkout / "linked").write_text(linked)
        _write_script(checkout / ".venv" / "bin" / "python", PYTHON)
    done = rehearse(checkout, "--seed", "1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"Installing what the rehearsal needs into {environment}, if it is not there.\n"
    called = [line for line in (checkout / "called").read_text().splitlines() if "-m venv" not in line]
    assert called == [
        f"{environment} -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -e .",
        f"{environment} -m tests.rehearsal --seed 1",
    ]
