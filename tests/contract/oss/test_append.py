"""AppendObject: the position is a compare-and-swap on which journals and claims rest."""

from __future__ import annotations

import threading

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
import requests
from oss2.utils import Crc64

from .conftest import BUCKET, MAX_OBJECT_BYTES, Server


def test_appends_grow_one_object(bucket: oss2.Bucket) -> None:
    first = bucket.append_object("j", 0, b"one\n")
    second = bucket.append_object("j", 4, b"two\n", init_crc=first.crc)  # oss2 checks the running CRC-64
    assert (first.next_position, second.next_position) == (4, 8)
    assert bucket.get_object("j").read() == b"one\ntwo\n"
    head = bucket.head_object("j")
    assert head.object_type == "Appendable"
    assert head.headers["x-oss-next-append-position"] == "8"
    assert "Content-MD5" not in head.headers
    whole = Crc64()
    whole.update(b"one\ntwo\n")
    assert head.headers["x-oss-hash-crc64ecma"] == str(whole.crc)


def test_the_newer_sdk_appends_too(server: Server, bucket: oss2.Bucket) -> None:
    request = oss_v2.AppendObjectRequest(bucket=BUCKET, key="j", position=0, body=b"abc")
    assert server.client_v2().append_object(request).next_position == 3
    assert bucket.append_object("j", 3, b"def").next_position == 6


@pytest.mark.parametrize("position", [0, 2, 4])
def test_another_position_is_refused_with_the_right_one(bucket: oss2.Bucket, position: int) -> None:
    bucket.append_object("j", 0, b"abc")
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as caught:
        bucket.append_object("j", position, b"x")
    assert (caught.value.status, caught.value.next_position) == (409, 3)
    assert bucket.get_object("j").read() == b"abc"


def test_a_new_object_begins_at_zero(bucket: oss2.Bucket) -> None:
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as caught:
        bucket.append_object("j", 5, b"x")
    assert caught.value.next_position == 0
    assert not bucket.object_exists("j")


def test_a_normal_object_takes_no_append(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"abc")
    with pytest.raises(oss2.exceptions.ObjectNotAppendable):
        bucket.append_object("k", 3, b"x")
    with pytest.raises(oss2.exceptions.ObjectNotAppendable):
        bucket.append_object("k", 0, b"x")
    assert bucket.get_object("k").read() == b"abc"


def test_a_put_over_an_appendable_object_makes_it_normal(bucket: oss2.Bucket) -> None:
    bucket.append_object("j", 0, b"abc")
    bucket.put_object("j", b"xyz")
    assert bucket.head_object("j").object_type == "Normal"
    with pytest.raises(oss2.exceptions.ObjectNotAppendable):
        bucket.append_object("j", 3, b"x")


def test_every_append_changes_the_etag_and_the_time(server: Server, bucket: oss2.Bucket) -> None:
    before = (bucket.append_object("j", 0, b"abc"), bucket.head_object("j"))
    server.clock.move(10)
    after = (bucket.append_object("j", 3, b""), bucket.head_object("j"))
    assert before[0].etag == before[1].etag != after[0].etag == after[1].etag
    assert after[1].last_modified >= before[1].last_modified + 10
    assert after[1].etag == after[1].etag.upper()
    assert len(after[1].etag) == 32


def test_what_is_said_at_creation_stays(bucket: oss2.Bucket) -> None:
    bucket.append_object("j", 0, b"a", headers={"Content-Type": "text/plain", "x-oss-meta-a": "1"})
    bucket.append_object("j", 1, b"b", headers={"Content-Type": "text/html", "x-oss-meta-a": "2"})
    head = bucket.head_object("j")
    assert (head.content_type, head.headers["x-oss-meta-a"]) == ("text/plain", "1")


@pytest.mark.parametrize("position", ["-1", "one", "", "１"])
def test_a_position_is_a_number(bucket: oss2.Bucket, position: str) -> None:
    with pytest.raises(oss2.exceptions.InvalidArgument):
        bucket.append_object("j", position, b"x")


def test_a_missing_position_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    response = requests.post(bucket.sign_url("POST", "j", 60, params={"append": ""}), data=b"x", timeout=10)
    assert response.status_code == 400
    assert "<Code>MissingArgument</Code>" in response.text


def test_an_appendable_object_is_not_copied(bucket: oss2.Bucket) -> None:
    bucket.append_object("j", 0, b"abc")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.copy_object(BUCKET, "j", "k")
    assert caught.value.status == 400


def test_an_appendable_object_grows_to_the_limit_and_no_further(bucket: oss2.Bucket) -> None:
    half = b"x" * (MAX_OBJECT_BYTES // 2)
    bucket.append_object("j", 0, half)
    bucket.append_object("j", len(half), half)
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.append_object("j", 2 * len(half), b"x")
    assert (caught.value.status, caught.value.code) == (400, "EntityTooLarge")


def test_of_simultaneous_appends_at_one_position_exactly_one_wins(server: Server) -> None:
    for number in range(5):
        outcomes = _race(server, lambda bucket, who, key=f"j{number}": bucket.append_object(key, 0, who.encode()))
        assert sorted(outcomes.values()) == ["PositionNotEqualToLength"] * 7 + ["won"]
        winner = next(who for who, outcome in outcomes.items() if outcome == "won")
        assert server.bucket().get_object(f"j{number}").read() == winner.encode()


def test_of_simultaneous_first_writes_exactly_one_wins(server: Server) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    for number in range(5):
        outcomes = _race(
            server, lambda bucket, who, key=f"k{number}": bucket.put_object(key, who.encode(), headers=forbid)
        )
        assert sorted(outcomes.values()) == ["FileAlreadyExists"] * 7 + ["won"]
        winner = next(who for who, outcome in outcomes.items() if outcome == "won")
        assert server.bucket().get_object(f"k{number}").read() == winner.encode()


def _race(server: Server, write) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    barrier = threading.Barrier(8)

    def run(who: str) -> None:
        bucket = server.bucket()
        barrier.wait()
        try:
            write(bucket, who)
            outcomes[who] = "won"
        except oss2.exceptions.ServerError as error:
            outcomes[who] = error.code

    threads = [threading.Thread(target=run, args=(f"writer-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
