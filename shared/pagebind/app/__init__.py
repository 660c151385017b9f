"""The use cases, written over ports and core."""
