"""Whoever names a source need not be one who may read it: nothing of it is told."""

from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from postroom.model import State
from postroom.settings import Settings
from postroom.store.connection import Store
from producers.producer import Producer
from tests.support.client_harness import ClientHarness, campaign

SECRET = "hunter2"


@pytest.mark.parametrize(
    "content",
    [
        f"root:{SECRET}:20228",
        f"{SECRET}",
        f"PATH={SECRET}\0HOME={SECRET}",
        f"email,{SECRET},{SECRET}\na@x.example,1,2\n",
        f"email,{SECRET}\na@x.example,1\n",
        f"email,name\na@x.example,{SECRET},{SECRET}\n",
        f"email,name\n{SECRET},{SECRET}\n",
        f'email,name\n"{SECRET}',
        f'{{"email": {SECRET}}}',
        f'{{"email": {{"{SECRET}": 1}}}}',
        f'{{"{SECRET}": "{SECRET}"}}',
    ],
)
def test_no_piece_of_a_source_is_in_a_reason_or_a_log(
    harness: ClientHarness, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "rows"
    path.write_text(content, encoding="utf-8")
    for text, strict in (("{{ name }}", False), ("Hello", True)):
        submission = harness.post.submit(campaign(text=text), source=path.as_uri(), strict=strict)
        with capture_logs() as logs:
            status = harness.split(submission.id)
        told = [status.reason, *(bad.reason for bad in harness.post.bad_rows(submission.id))]
        assert SECRET not in " ".join([*told, *map(str, logs)])
        assert any(told) or text == "Hello"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "file:///proc/self/environ",
            "/proc/self/environ: no file may be read (producer.source_folder is '')",
        ),
        ("s3://lists/a.csv", "s3://lists/a.csv: not in producer.source_buckets"),
    ],
)
def test_a_source_that_nobody_allowed_halts_the_campaign_with_the_setting(
    harness: ClientHarness, store: Store, settings: Settings, source: str, reason: str
) -> None:
    producer = msgspec.structs.replace(settings.producer, source_folder="", source_buckets=[])
    bare = msgspec.structs.replace(settings, producer=producer)
    campaign_id = harness.post.submit(campaign(), source=source).id
    Producer(bare, store, harness.stop).split(campaign_id)
    status = harness.post.status(campaign_id)
    assert (status.state, status.reason) == (State.HALTED, reason)


def test_the_words_of_a_fault_that_nobody_foresaw_are_not_logged(harness: ClientHarness) -> None:
    class Leaky(Store):
        def run(self, script: str, *args: object, **more: object) -> object:
            if script == "write_batches":
                raise KeyError(SECRET)
            return super().run(script, *args, **more)  # type: ignore[arg-type]

    campaign_id = harness.submitted(["a@x.example"])
    leaky = Producer(harness.settings, Leaky(harness.settings.redis), harness.stop)
    with capture_logs() as logs:
        leaky.split(campaign_id)
    (failed,) = [one for one in logs if one["event"] == "split.failed"]
    assert failed["reason"] == "KeyError"
    assert "writing.py" in failed["where"]
    assert SECRET not in str(logs) + harness.post.status(campaign_id).reason
