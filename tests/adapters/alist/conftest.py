from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    """As many attempts as the code asks for, without the waiting between them."""
    with stamina.set_testing(True, attempts=99, cap=True):
        yield
