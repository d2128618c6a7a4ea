from dam.core.world import World
from dam_test_utils.fixtures import SampleFiles


async def test_a_fresh_world_is_up_to_date(world: World) -> None:
    await world.check_schema()


def test_sample_files_hold_a_duplicate_and_an_empty_file(sample_files: SampleFiles) -> None:
    contents = [path.read_bytes() for path in sample_files.all]
    assert len(contents) == 7
    assert len(set(contents)) == 6
    assert b"" in contents
