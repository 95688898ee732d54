from registry.folder import Folder


async def test_an_identity_is_kept_by_the_next_process(tmp_path):
    first, second = Folder(tmp_path / "registry"), Folder(tmp_path / "registry")
    await first.start()
    await first.stop()
    await second.start()
    assert second.identity == first.identity != ""
    await second.stop()


async def test_registries_on_one_folder_have_an_identity_each(tmp_path):
    folders = [Folder(tmp_path) for _ in range(3)]
    for folder in folders:
        await folder.start()
    assert len({folder.identity for folder in folders}) == 3
    await folders[1].stop()
    again = Folder(tmp_path)
    await again.start()
    assert again.identity == folders[1].identity
    for folder in (folders[0], folders[2], again):
        await folder.stop()
