"""A death at an instant that no program chooses: the kernel sends SIGKILL to this process when a time is over.

A thread, or another process, would have to be given the processor first, and would meet the moments in which the
others do not have it.
"""

from __future__ import annotations

import ctypes
import os
import signal

_CLOCK_MONOTONIC = 1  # linux/time.h
_SIGEV_SIGNAL = 0  # asm-generic/siginfo.h
_NANOSECONDS = 1_000_000_000


class _Event(ctypes.Structure):
    """`struct sigevent` of sigevent(3type): 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_byte * (64 - ctypes.sizeof(ctypes.c_void_p) - 2 * ctypes.sizeof(ctypes.c_int))),
    )


class _Setting(ctypes.Structure):
    """`struct itimerspec`: the interval, then the first time."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every", "every_ns", "first", "first_ns"))


def offered() -> bool:
    """Whether this system has such timers: Linux has."""
    return os.name == "posix" and hasattr(ctypes.CDLL(None), "timer_create")


def kill_in(seconds: float) -> None:
    """Let this process be killed in so many seconds. Raises: OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    event, timer = _Event(None, signal.SIGKILL, _SIGEV_SIGNAL), ctypes.c_void_p()
    whole, part = divmod(max(1, round(seconds * _NANOSECONDS)), _NANOSECONDS)
    setting = _Setting(0, 0, whole, part)
    failed = library.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer))
    failed = failed or library.timer_settime(timer, 0, ctypes.byref(setting), None)
    if failed:
        raise OSError(ctypes.get_errno(), "the timer cannot be set")
