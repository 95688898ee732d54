"""What a power cut may not take: blobs that were confirmed, and the folders that lead to them."""

import os
from pathlib import Path

import pytest

from contracts.artifacts import digest_of
from registry.blobs.disk import DiskBlobs


@pytest.fixture
def synced(monkeypatch):
    """Every file and folder that was made durable, in order, with what stood in the folder."""
    done = []
    real = os.fsync

    def noting(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append((path, sorted(each.name for each in path.iterdir()) if path.is_dir() else []))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return done


async def adopt(blobs, tmp_path, content):
    (tmp_path / "upload").write_bytes(content)
    await blobs.adopt(tmp_path / "upload", digest_of(content))
    return blobs.path(digest_of(content))


async def test_a_blob_is_durable_with_every_folder_that_leads_to_it(tmp_path, synced):
    base = tmp_path / "registry"
    blobs = DiskBlobs(base)
    await blobs.start()
    path = await adopt(blobs, tmp_path, b"content")
    assert (tmp_path / "upload", []) in synced
    assert (path.parent, [path.name]) in synced
    assert (path.parent.parent, [path.parent.name]) in synced
    assert (base / "blobs", ["sha256"]) in synced
    assert (base, ["blobs"]) in synced


async def test_a_folder_that_somebody_else_has_just_made_is_made_durable_too(tmp_path, synced):
    """They may be killed before they do it."""
    blobs = DiskBlobs(tmp_path / "registry")
    await blobs.start()
    folder = blobs.path(digest_of(b"content")).parent
    folder.mkdir()
    synced.clear()
    path = await adopt(blobs, tmp_path, b"content")
    assert synced[-2:] == [(folder, [path.name]), (folder.parent, [folder.name])]
