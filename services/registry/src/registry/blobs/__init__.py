"""Where blobs are kept: one port, and an adapter for each kind of storage."""

from registry.blobs.port import FULL, PIECE, Blobs, Disk, NoSpace, Reading

__all__ = ["FULL", "PIECE", "Blobs", "Disk", "NoSpace", "Reading"]
