"""Where blobs are kept: one port, and an adapter for each kind of storage."""

from registry.blobs.port import PIECE, Blobs, Disk, NoSpace, Reading, full_disk

__all__ = ["PIECE", "Blobs", "Disk", "NoSpace", "Reading", "full_disk"]
