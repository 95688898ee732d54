"""Where blobs are kept: one port, and an adapter for each kind of storage."""

from registry.blobs.port import PIECE, Blobs, Disk, NoSpace, Reading

__all__ = ["PIECE", "Blobs", "Disk", "NoSpace", "Reading"]
