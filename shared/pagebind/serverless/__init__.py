"""Pagebind as functions: what each of them does with one request. `functions/main.py` is their entry."""
