"""Queues of work."""
