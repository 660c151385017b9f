"""Pagebind: finished folders of comic pages on an Alist server become CBZ files that are never broken."""

__version__ = "0.1.0"
