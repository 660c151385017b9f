"""What all tests share: examples of Hypothesis take the time they take, for coverage and busy machines slow them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

pytest_plugins = ["tests.support.servers"]
