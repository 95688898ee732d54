import pytest

from registry.folder import Folder, FolderInUse


async def test_a_folder_has_one_registry_at_a_time_and_keeps_its_identity(tmp_path):
    first = Folder(tmp_path / "registry")
    await first.start()
    second = Folder(tmp_path / "registry")
    with pytest.raises(FolderInUse, match="another registry uses"):
        await second.start()
    await first.stop()
    await second.start()
    assert second.identity == first.identity != ""
    await second.stop()
