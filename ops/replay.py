"""`scripts/replay`: do jobs anew, each as a new generation; what they came to before is kept.

    scripts/replay --local out/local.json --prefix in/acme/2026/11/ --state failed   # says what it would do
    scripts/replay --local out/local.json --prefix in/acme/2026/11/ --state failed --yes

Looks at the recordings below a prefix and at their jobs, takes those in a state (and of a time), writes them down as a
plan, and with `--yes` asks the function for each by an asynchronous call. So it needs no right to write to a bucket:
to list the recordings, to read `jobs/` in the state bucket, and fc:InvokeFunction.

What is asked for names the generation that was found: the same again, by a plan that is sent twice or by two operators,
makes no second one. After Ctrl-C or trouble, `--plan FILE --yes` goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from functions.transcripts.job import Job, job_id
from functions.transcripts.job_journal import journal_key
from functions.transcripts.job_records import fold

STATES: Final = ("done", "failed", "quarantined", "skipped")
QUALIFIER: Final = "live"
TIMEOUT_SECONDS: Final = 20
VARIABLES: Final = {
    "TARGET_REGION": "region of everything, for example cn-beijing",
    "TARGET_OSS": "OSS endpoint, for example https://oss-cn-beijing.aliyuncs.com",
    "TARGET_FC": "Function Compute, for example https://ACCOUNT.cn-beijing.fc.aliyuncs.com",
    "TARGET_FUNCTION": "the function, for example speech-asr-prod",
    "TARGET_RECORDINGS": "the recordings bucket",
    "TARGET_STATE": "the state bucket",
    "TARGET_ACCESS_KEY_ID": "a RAM user's key, with the rights above alone",
    "TARGET_ACCESS_KEY_SECRET": "its secret",
}


class ReplayError(Exception):
    """What was asked for cannot be done; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where things are, and the key to them."""

    region: str
    oss: str
    fc: str
    function: str
    recordings: str
    state: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are to be done anew.

    Attributes
    ----------
    prefix
        Of the recordings' keys, `in/` included.
    states
        Of their latest generation.
    since, until
        When that was opened, seconds since the epoch: from `since` on, before `until`.
    most
        So many at most, in the order of their keys.
    """

    prefix: str
    states: frozenset[str]
    since: float = 0.0
    until: float = float("inf")
    most: int = 100

    def holds(self, job: Job) -> bool:
        """Whether a job is one of them. What has no outcome yet never is: it will have one."""
        latest = job.latest
        if latest.terminal is None or not latest.published:
            return False
        return latest.terminal.verdict.state in self.states and self.since <= latest.opened_at < self.until


@dataclass(frozen=True, slots=True)
class Item:
    """One job of a plan: `generation` is the one that was found."""

    job: str
    generation: int
    state: str
    reason: str | None
    key: str

    def event(self) -> bytes:
        """What the function is asked."""
        return json.dumps({"replay": {"job": self.job, "generation": self.generation}}).encode()


Read = Callable[[str], bytes]
"""Key in the state bucket -> its bytes, none where there is no such object."""


def planned(recordings: Iterable[tuple[str, str]], bucket: str, read: Read, wanted: Wanted) -> Iterator[Item]:
    """The jobs that are to be done anew.

    Parameters
    ----------
    recordings
        (key, ETag) of those below the prefix.
    """
    found = 0
    for key, etag in recordings:
        if found >= wanted.most:
            return
        identifier = job_id(bucket, key, etag)
        job = fold(json.loads(line) for line in read(journal_key(identifier)).splitlines())
        if job is None or job.latest.terminal is None or not wanted.holds(job):
            continue
        verdict = job.latest.terminal.verdict
        found += 1
        yield Item(identifier, job.latest.number, verdict.state, verdict.reason, key)


class Plan:
    """A plan in a file, and beside it (`.sent`) what of it was sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sent = path.with_name(path.name + ".sent")

    def write(self, items: Sequence[Item]) -> None:
        """Keep a new plan.

        Raises
        ------
        ReplayError
            There is one already.
        """
        try:
            with self.path.open("x", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)
        except FileExistsError as error:
            raise ReplayError(f"{self.path} is there already: go on with it (no --prefix), or name another") from error

    def left(self) -> list[Item]:
        """What was not sent yet.

        Raises
        ------
        ReplayError
            The file is not a plan.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
            items = [Item(**json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError) as error:
            raise ReplayError(f"{self.path} is not a plan that can be read") from error
        sent = set(self._sent.read_text(encoding="utf-8").split()) if self._sent.exists() else set()
        return [item for item in items if f"{item.job}.{item.generation}" not in sent]

    def sent(self, item: Item) -> None:
        """Remember that it was sent."""
        with self._sent.open("a", encoding="utf-8") as file:
            file.write(f"{item.job}.{item.generation}\n")


def send(plan: Plan, invoke: Callable[[bytes], None], at_once: int, say: Callable[[str], None]) -> int:
    """Send what is left of a plan, so many at once; how many could not be sent.

    Ctrl-C waits for those that are under way, and keeps what was sent.
    """
    left = plan.left()
    todo, running, failed, done = iter(left), dict[Future[None], Item](), 0, 0
    with ThreadPoolExecutor(at_once) as pool:

        def begin() -> None:
            if (item := next(todo, None)) is not None:
                running[pool.submit(invoke, item.event())] = item

        try:
            for _ in range(at_once):
                begin()
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item = running.pop(future)
                    if (error := future.exception()) is None:
                        plan.sent(item)
                        done += 1
                    else:
                        failed += 1
                        say(f"not sent: {item.key}: {type(error).__name__}")
                    begin()
                say(f"{done} of {len(left)} sent")
        finally:
            for future, item in running.items():  # under way when we were interrupted
                if future.exception() is None:
                    plan.sent(item)
    return failed


def account(local: Path | None, environment: Mapping[str, str]) -> Account:
    """The account that `local.json` describes, or the environment.

    Raises
    ------
    ReplayError
        Something is not set, or is not an address that a key may be sent to.
    """
    if local is not None:
        told = json.loads(local.read_text(encoding="utf-8"))
        buckets, key = told["oss"]["buckets"], told["credentials"]
        places = (told["oss"]["region"], told["oss"]["endpoint"], told["fc"], "speech-asr-local")
        return Account(*places, buckets["recordings"], buckets["state"], key["access_key_id"], key["access_key_secret"])
    if missing := [name for name in VARIABLES if not environment.get(name)]:
        raise ReplayError("set " + "; ".join(f"{name} ({VARIABLES[name]})" for name in missing))
    for name in ("TARGET_OSS", "TARGET_FC"):
        parts = urlsplit(environment[name])
        if not parts.hostname or (parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost")):
            raise ReplayError(f"{name} is not https:// (plain only on loopback)")
    region, oss, fc, function, recordings, state, key_id, secret = (environment[name] for name in VARIABLES)
    token = environment.get("TARGET_SECURITY_TOKEN", "")
    return Account(region, oss, fc, function, recordings, state, key_id, secret, token)


def _bucket(account: Account, name: str) -> Any:
    import oss2

    provider = oss2.credentials.StaticCredentialsProvider(
        account.access_key_id, account.access_key_secret, account.security_token or None
    )
    return oss2.Bucket(
        oss2.ProviderAuthV4(provider), account.oss, name, region=account.region, connect_timeout=TIMEOUT_SECONDS
    )


def _reader(account: Account) -> Read:
    import oss2

    bucket = _bucket(account, account.state)

    def read(key: str) -> bytes:
        try:
            return bytes(bucket.get_object(key).read())
        except oss2.exceptions.NoSuchKey:
            return b""

    return read


def _recordings(account: Account, prefix: str) -> Iterator[tuple[str, str]]:
    import oss2

    for entry in oss2.ObjectIteratorV2(_bucket(account, account.recordings), prefix=prefix):
        yield entry.key, entry.etag


def _invoker(account: Account) -> Callable[[bytes], None]:
    from alibabacloud_fc20230330 import models
    from alibabacloud_fc20230330.client import Client
    from alibabacloud_tea_openapi import models as open_api
    from alibabacloud_tea_util.models import RuntimeOptions

    address = urlsplit(account.fc)
    client = Client(
        open_api.Config(
            access_key_id=account.access_key_id,
            access_key_secret=account.access_key_secret,
            security_token=account.security_token or None,
            endpoint=address.netloc,
            protocol=address.scheme,
            region_id=account.region,
            read_timeout=TIMEOUT_SECONDS * 1000,
            connect_timeout=5_000,
        )
    )

    def invoke(event: bytes) -> None:
        request = models.InvokeFunctionRequest(body=event, qualifier=QUALIFIER)
        headers = models.InvokeFunctionHeaders(x_fc_invocation_type="Async")
        client.invoke_function_with_options(account.function, request, headers, RuntimeOptions())

    return invoke


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    lines = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        prog="scripts/replay", description=lines[0], epilog="Without --local: " + "; ".join(VARIABLES) + "."
    )
    parser.add_argument("--local", type=Path, help="a local cloud's local.json, instead of the environment")
    parser.add_argument("--prefix", help="of the recordings, for example in/acme/2026/11/")
    parser.add_argument("--state", action="append", choices=STATES, help="of their jobs, again for more; failed")
    parser.add_argument(
        "--since", type=_moment, default=0.0, help="opened at or after, for example 2026-11-22T08:00+08:00"
    )
    parser.add_argument("--until", type=_moment, default=float("inf"), help="opened before")
    parser.add_argument("--max", type=int, default=100, help="so many at most; 100")
    parser.add_argument("--concurrency", type=int, default=4, help="calls at once; 4")
    parser.add_argument("--plan", type=Path, help="where the plan is written, or without --prefix read")
    parser.add_argument("--yes", action="store_true", help="do it; without, it is only said what would be done")
    told = parser.parse_args(argv)
    if told.prefix is None and told.plan is None:
        parser.error("--prefix says which recordings; or --plan goes on with a plan")
    if told.prefix is not None and not told.prefix.startswith("in/"):
        parser.error("--prefix begins with in/")
    if not 1 <= told.concurrency <= 32 or told.max < 1:
        parser.error("--concurrency is 1 to 32, --max at least 1")
    return told


def run(argv: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """The command; its exit code."""
    told = _arguments(argv)
    try:
        target = account(told.local, environment)
        plan = Plan(told.plan or Path(f"replay-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.plan"))
        if told.prefix is not None:
            states = frozenset(told.state or ["failed"])
            wanted = Wanted(told.prefix, states, told.since, told.until, told.max)
            found = planned(_recordings(target, told.prefix), target.recordings, _reader(target), wanted)
            items = list(found)
            for item in items:
                say(f"{item.state} {item.reason or '-'} g{item.generation} {item.key}")
            if told.yes or told.plan is not None:
                plan.write(items)
        else:
            items = plan.left()
        if not told.yes:
            say(f"{len(items)} would be done anew; --yes does it")
            return 0
        failed = send(plan, _invoker(target), told.concurrency, say)
    except ReplayError as error:
        say(str(error))
        return 2
    if failed:
        say(f"{failed} could not be sent: go on with --plan {plan.path} --yes")
    return 1 if failed else 0


def main() -> None:
    """`scripts/replay`."""
    try:
        code = run(sys.argv[1:], os.environ, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print("stopped; go on with --plan FILE --yes", flush=True)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
