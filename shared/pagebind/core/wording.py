"""Numbers in sentences."""


def counted(count: int, thing: str) -> str:
    """``1 page``, ``12 pages``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
