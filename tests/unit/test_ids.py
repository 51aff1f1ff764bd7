import re

from postroom.ids import new_campaign_id


def test_ids_sort_by_time_differ_within_it_and_may_be_tags() -> None:
    moments = [1_700_000_000.0, 1_700_000_000.001, 1_800_000_000.0, 4_000_000_000.0]
    ids = [new_campaign_id(lambda moment=moment: moment) for moment in moments]  # type: ignore[misc]
    assert ids == sorted(ids)
    assert len({new_campaign_id(lambda: 1.0) for _ in range(100)}) == 100
    assert all(re.fullmatch(r"c[0-9a-z]{17}", one) for one in ids)
