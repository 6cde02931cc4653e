"""Checks of what is believed of OSS."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ops import probe_clients
from ops.probe_check import NOT_SEEN, Check, Probe, Seen

if TYPE_CHECKING:
    from isikit.objects.presign import Presigner

ROUNDS = 20
EVENT_SECONDS = 60.0
_POLL_SECONDS = 1.0


def _race(act: Callable[[int], Any]) -> list[str]:
    """What two calls came to that were let go at once: `ok`, or a status and code."""
    import oss2

    gate, results = threading.Barrier(2), ["", ""]

    def run(number: int) -> None:
        try:
            gate.wait(10)
            act(number)
            results[number] = "ok"
        except oss2.exceptions.ServerError as error:
            results[number] = f"{error.status} {error.code}"
        except oss2.exceptions.OssError as error:
            results[number] = type(error).__name__

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def _races(refused: str, start: Callable[[int], Callable[[int], Any]]) -> Seen:
    seen = Counter(" and ".join(_race(start(number))) for number in range(ROUNDS))
    text = "; ".join(f"{count} x {what}" for what, count in seen.most_common())
    return Seen.judged(f"{ROUNDS} rounds of two: {text}", set(seen) == {f"{refused} and ok"})


def append_race(probe: Probe) -> Seen:
    """Two appends at one position."""
    key, bucket = probe.key("appended"), probe.bucket()

    def start(number: int) -> Callable[[int], Any]:
        position = bucket.append_object(key, 0 if number == 0 else bucket.head_object(key).content_length, b"start\n")
        return lambda racer: bucket.append_object(key, position.next_position, b"racer %d\n" % racer)

    return _races("409 PositionNotEqualToLength", start)


def first_writer_race(probe: Probe) -> Seen:
    """Two first writers of one key."""
    bucket, headers = probe.bucket(), {"x-oss-forbid-overwrite": "true"}

    def start(number: int) -> Callable[[int], Any]:
        key = probe.key(f"first-{number}")
        return lambda racer: bucket.put_object(key, b"racer %d" % racer, headers=headers)

    return _races("409 FileAlreadyExists", start)


def create_again(probe: Probe) -> Seen:
    """PutBucket for a bucket that is ours, without any setting."""
    import oss2

    try:
        status = f"{probe.bucket().create_bucket().status}"
    except oss2.exceptions.ServerError as error:
        status = f"{error.status} {error.code}"
    return Seen.judged(status, status in ("200", "409 BucketAlreadyExists"))


def range_at_the_end(probe: Probe) -> Seen:
    """GetObject from the position behind the last byte."""
    import oss2

    key, bucket = probe.key("range"), probe.bucket()
    bucket.put_object(key, b"0123456789")
    try:
        answer = bucket.get_object(key, byte_range=(10, None), headers={"x-oss-range-behavior": "standard"})
        status = f"{answer.status} with {len(answer.read())} bytes"
    except oss2.exceptions.ServerError as error:
        status = f"{error.status} {error.code}"
    return Seen.judged(status, status.startswith("416 "))


def listed(probe: Probe) -> Seen:
    """An appended object after a key that does not exist, listed and read."""
    bucket, key = probe.bucket(), probe.key("listed/b")
    first = bucket.append_object(key, 0, b"one\n")
    bucket.append_object(key, first.next_position, b"two\n")
    prefix, absent = key.removesuffix("b"), key.removesuffix("b") + "a"
    found = [(each.key, each.etag) for each in bucket.list_objects_v2(prefix=prefix, start_after=absent).object_list]
    same = found == [(key, bucket.get_object(key).etag)]
    text = f"{len(found)} listed, the appended object's ETag {'the same' if same else 'not the same'}"
    return Seen.judged(text, same and not bucket.list_objects_v2(prefix=prefix, start_after=key).object_list)


def event_key(probe: Probe) -> Seen:
    """An empty object under a key that encoding would change, and the job that its event opens."""
    import requests

    target = probe.target
    if not (target.gateway and target.api_key and target.tenant and target.recordings):
        return Seen("needs TARGET_GATEWAY, TARGET_API_KEY, TARGET_TENANT and TARGET_RECORDINGS", NOT_SEEN)
    bucket = probe_clients.bucket(target, target.recordings)
    key = f"in/{target.tenant}/isi-probe-{probe.run_id}/录音 1+2%2F3.wav"
    bucket.put_object(key, b"", headers={"Content-Type": "audio/wav"})
    probe.undo.append(lambda: bucket.delete_object(key))
    spellings = {"the raw key": key, "an encoded key": quote(key), "an encoded key with /": quote(key, safe="")}
    give_up = time.monotonic() + EVENT_SECONDS
    while time.monotonic() < give_up:
        for spelling, asked in spellings.items():
            answer = requests.get(
                f"{target.gateway}/v1/jobs",
                params={"bucket": target.recordings, "key": asked},
                headers={"X-Api-Key": target.api_key},
                timeout=probe_clients.TIMEOUT_SECONDS,
            )
            if answer.status_code == 200 and answer.json()["jobs"]:
                return Seen.judged(f"a job for {spelling}", spelling == "the raw key")
        time.sleep(_POLL_SECONDS)
    return Seen(f"no job within {EVENT_SECONDS:.0f} s: is the trigger deployed?", NOT_SEEN)


def _presigner(probe: Probe) -> Presigner:
    """Of the scratch bucket, as the leases function signs."""
    from isikit.credentials import Credentials  # the other checks need nothing of the layer
    from isikit.objects.presign import Presigner

    target = probe.target
    credentials = Credentials({})
    credentials.update(
        {
            "x-fc-access-key-id": target.access_key_id,
            "x-fc-access-key-secret": target.access_key_secret,
            "x-fc-security-token": target.security_token,
        }
    )
    return Presigner(target.bucket, target.oss, target.region, credentials)


def _said(answer: Any) -> str:
    """Status and code of a refusal."""
    code = answer.text.partition("<Code>")[2].partition("</Code>")[0]
    return f"{answer.status_code} {code}".strip()


def empty_form_field(probe: Probe) -> Seen:
    """A form whose empty field is bound to be empty: sent as it is, and filled in by its holder."""
    import requests

    presigner = _presigner(probe)

    def send(key: str, agent: str) -> str:
        bound = {"x-oss-content-type": "audio/wav", "x-oss-meta-agent": "", "success_action_status": "201"}
        form = presigner.form(key, seconds=60, least_bytes=1, most_bytes=9, fields=bound)
        return _said(
            requests.post(
                form.url,
                data={**form.fields, "x-oss-meta-agent": agent},
                files={"file": ("a.wav", b"RIFF", "audio/wav")},
                timeout=probe_clients.TIMEOUT_SECONDS,
            )
        )

    key = probe.key("form")
    filled, empty = send(key, "x"), send(key, "")
    if empty != "201":
        return Seen.judged(f"filled in: {filled}; empty: {empty}", False)
    stored = probe.bucket().head_object(key).headers.get("x-oss-meta-agent")
    text = f"filled in: {filled}; empty: {empty}, stored as {'none' if stored is None else repr(stored)}"
    return Seen.judged(text, filled.startswith("403 ") and not stored)


def signed_length(probe: Probe) -> Seen:
    """A presigned PUT of four bytes: with three, with five, with four."""
    import requests

    headers = {"Content-Type": "audio/wav", "x-oss-forbid-overwrite": "true"}
    upload = _presigner(probe).put(probe.key("put"), seconds=60, size_bytes=4, headers=headers)
    said = {
        len(body): _said(
            requests.put(upload.url, data=body, headers=upload.headers, timeout=probe_clients.TIMEOUT_SECONDS)
        )
        for body in (b"RIF", b"RIFFF", b"RIFF")
    }
    text = "; ".join(f"{size} bytes: {what}" for size, what in said.items())
    return Seen.judged(text, said == {3: "403 SignatureDoesNotMatch", 5: "403 SignatureDoesNotMatch", 4: "200"})


CHECKS = (
    Check(
        "AppendObject at a wrong position is refused atomically, so that one of two racing appends wins",
        f"{ROUNDS * 4} requests, one object of less than 1 KB",
        append_race,
    ),
    Check(
        "`x-oss-forbid-overwrite` lets one first writer win (one page says that simultaneous first writes may both"
        " pass)",
        f"{ROUNDS * 3} requests, {ROUNDS} objects of 7 bytes",
        first_writer_race,
    ),
    Check(
        "OSS puts the raw key into its events, not URL-encoded",
        "one empty object in the recordings bucket; its job and its quarantine report stay",
        event_key,
    ),
    Check(
        "creating a bucket that one owns is 409 BucketAlreadyExists or 200",
        "one PutBucket for the scratch bucket",
        create_again,
    ),
    Check(
        "`x-oss-range-behavior: standard` gives 416 for a range at the end of an object",
        "3 requests, one object of 10 bytes",
        range_at_the_end,
    ),
    Check(
        'PostObject holds a condition `eq ""` on a form field that was sent empty, and stores empty metadata or none',
        "3 requests, one object of 4 bytes",
        empty_form_field,
    ),
    Check(
        "a presigned V4 PUT with `content-length` among its additional headers is refused at any other length",
        "3 requests, one object of 4 bytes",
        signed_length,
    ),
    Check(
        "ListObjectsV2 shows the ETag that GetObject shows, of appended objects too, and `start-after` takes a key that"
        " does not exist",
        "5 requests, one object of 8 bytes",
        listed,
    ),
)
