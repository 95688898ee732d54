"""``event.log``: a line per event, without holes across crashes and rotations."""

import json

from tests.pushing import a_pusher, an_event, many, publish, settings_for
from tests.waiting import until


def sequences(path):
    if not path.exists():
        return []
    return [json.loads(line)["sequence"] for line in path.read_text().splitlines()]


async def test_each_event_is_a_line_as_on_the_wire(memory_bus, own_store, tmp_path):
    path = tmp_path / "logs" / "event.log"
    async with a_pusher(settings_for(event_log_path=str(path)), memory_bus, own_store):
        await publish(memory_bus, many(20, 1))
        await until(lambda: sequences(path) == list(range(1, 21)))
    line = path.read_text().splitlines()[0]
    assert list(json.loads(line)) == sorted(json.loads(line))


async def test_a_torn_last_line_and_what_follows_are_written_again(memory_bus, own_store, tmp_path):
    path = tmp_path / "event.log"
    settings = settings_for(event_log_path=str(path))
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, many(10, 1))
        await until(lambda: len(sequences(path)) == 10)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:6]) + lines[6][:20])
    async with a_pusher(settings, memory_bus, own_store):
        await until(lambda: path.read_text() == "".join(lines))


async def test_a_file_that_was_rotated_away_is_begun_anew(memory_bus, own_store, tmp_path):
    path = tmp_path / "event.log"
    async with a_pusher(settings_for(event_log_path=str(path)), memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        await until(lambda: sequences(path) == [1])
        path.rename(tmp_path / "event.log.1")
        await publish(memory_bus, [an_event(2)])
        await until(lambda: sequences(path) == [2])


async def test_lines_go_to_standard_output_when_asked(memory_bus, own_store, capsys):
    async with a_pusher(settings_for(event_log_path="-"), memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        seen = []
        await until(lambda: seen.append(capsys.readouterr().out) or '"sequence":1' in "".join(seen))
