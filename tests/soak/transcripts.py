"""Recordings at random: in every mode, damaged, overwritten, uploaded again and replayed, by instances that break.

Events come twice, late or, one in a hundred, never; calls to buckets and to the speech service get no answer, before or
after their effect; processes die in the middle; tasks of the service's queue end, fail, are forgotten or never end, and
its callbacks come, come twice or do not. A clock is moved, so that a day takes seconds. At the end every recording has
exactly one outcome in each generation, whose files are byte for byte what its attempt made and hold what was said in
that recording and no other; nothing is open, nothing lies under `work/`, and the service's queue was given nothing that
is not in a journal.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from functions.transcripts.job import Generation, Job, job_id
from functions.transcripts.job_records import fold
from functions.transcripts.publish import kept, outputs
from isikit.audio import wav
from isikit.audio.probe import Decoded, Limits
from isikit.errors import AudioError, IsiError, LimitError, SpeechError, SpeechUnavailable
from isikit.nls.filetrans import Failed, FileOrder, Finished
from isikit.nls.sentences import Sentence
from support import soak_command
from support.memory_store import StoredObject
from unit.transcripts.scene import BUCKET, RATE_HZ, Scene, decode_wav, etag_of, mono, stereo
from unit.transcripts.tripwire import Killed, Tripwire

MODES = ("auto", "sentence", "file", "flash", "realtime")
AT_ONCE = 8
DELIVERIES = 3  # of one event, by the platform, as long as it fails
LOST_ONE_IN = 100
CRASHES = b"RIFF, and the end of its reader"
QUIETEST, STEP = 4000, 13
HOUR = 3600.0

ALLOWED = {
    "good": {"done"},
    "empty": {"audio.empty"},
    "damaged": {"audio.unreadable"},
    "crashing": {"audio.crashed", "audio.unreadable"},
}
"""What recordings of a kind come to, whatever happens around them: `done`, or the reason of another state."""
AFTER_TROUBLE = {
    *("attempts.lost", "oss.unreachable", "recording.replaced", "recording.deleted", "recording.task_lost"),
    *("recording.task_overdue", "nls.connection_lost", "nls.file_not_fetched", "nls.task_failed", "nls.task_expired"),
}
"""What else they may come to where calls failed or processes died, or somebody overwrote or deleted them."""


@dataclass
class Report:
    """What happened. `wrong` is empty, or the soak has failed."""

    seed: int
    recordings: int = 0
    jobs: int = 0
    generations: int = 0
    done: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost_events: int = 0
    faults: int = 0
    deaths: int = 0
    replays: int = 0
    uploaded_again: int = 0
    overwritten: int = 0
    submissions: int = 0
    possible_doubles: int = 0
    postponed: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Upload:
    """One version of one recording."""

    key: str
    data: bytes
    kind: str
    text: str
    told: bool = False

    @property
    def job(self) -> str:
        return job_id(BUCKET, self.key, etag_of(self.data))


def heard(samples: bytes) -> str:
    """What is said in s16le samples: the number of the recording, which is how loud it is."""
    loudest = max(array("h", samples), default=0)
    return f"call {(loudest - QUIETEST) // STEP}" if loudest >= QUIETEST else ""


def tone(number: int, duration_ms: int, period: int) -> bytes:
    """A square wave as loud as its number."""
    loud = QUIETEST + STEP * number
    half = period // 2
    one = array("h", [loud] * half + [-loud] * half).tobytes()
    length = 2 * (RATE_HZ * duration_ms // 1000)
    return (one * (length // len(one) + 1))[:length]


async def decode(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
    """As the scene's, but that some recordings take the decoder's process with them."""
    if data.startswith(CRASHES):
        raise AudioError(code="audio.crashed")
    return await decode_wav(data, rate_hz, limits)


class Soak:
    """One run.

    Parameters
    ----------
    lost_one_in
        Of so many events one is lost for ever.
    """

    def __init__(self, seed: int, lost_one_in: int = LOST_ONE_IN) -> None:
        self.report = Report(seed)
        self._lost_one_in = lost_one_in
        self._chance = random.Random(seed)
        self.scene = Scene()
        self.scene.tenants(
            tuple({"prefix": f"{mode}/", "mode": mode} for mode in MODES), acme={8000: "narrow", 16000: "wide"}
        )
        self._with_quota()
        self._service = self.scene.with_queue()
        self.scene.decode = decode
        self.scene.pause = self._pause
        self.scene.spend = self._spend
        self._uploads: dict[str, list[Upload]] = {}
        self._events: list[bytes] = []
        self._calls: list[str] = []  # addresses of callbacks to come
        self._at_peace = False

    async def run(self, count: int, told: Callable[[Report], None] = lambda _: None) -> Report:
        """Upload `count` recordings, go through trouble, and judge what has become of them."""
        while self.report.recordings < count:
            for _ in range(min(AT_ONCE, count - self.report.recordings)):
                self._upload()
            await self._round()
            told(self.report)
        await self._peace()
        self._judge()
        return self.report

    async def _pause(self, seconds: float) -> None:
        """Little time passes while somebody waits, so that few claims of the living run out; no claim is prolonged."""
        self.scene.clock.move(seconds / 10)
        await asyncio.sleep(0)

    def _with_quota(self) -> None:
        stored = self.scene.state.objects["config/tenants.json"]
        entries = json.loads(stored.data)
        for tenant in entries["tenants"]:
            tenant["quotas"] = {"recognition_seconds": 1_000_000}
        data = json.dumps(entries).encode()
        self.scene.state.objects["config/tenants.json"] = StoredObject(data, stored.content_type, {}, 0.0)

    # What happens to recordings

    def _upload(self) -> None:
        number, chance = self.report.recordings, self._chance
        self.report.recordings += 1
        key = f"in/acme/{chance.choice(MODES)}/{number:06d} 录音.wav"
        self._put(key, *self._recording(number))

    def _recording(self, number: int) -> tuple[bytes, str, str]:
        """The bytes of a recording, its kind, and what is said in it."""
        chance = self._chance.random()
        if chance < 0.02:
            return b"", "empty", ""
        if chance < 0.06:
            return b"no sound %d" % number, "damaged", ""
        if chance < 0.08:
            return CRASHES + b" %d" % number, "crashing", ""
        duration_ms = self._chance.choice((120, 200, 300))
        left = tone(number, duration_ms, 20)
        data = stereo(left, tone(number, duration_ms, 32)) if self._chance.random() < 0.3 else mono(left)
        return data, "good", f"call {number}"

    def _put(self, key: str, data: bytes, kind: str, text: str) -> None:
        upload = Upload(key, data, kind, text)
        self._uploads.setdefault(key, []).append(upload)
        event = self.scene.upload(key, data)
        if self._chance.randrange(self._lost_one_in) == 0:
            self.report.lost_events += 1
            return
        upload.told = True
        self._events += [event] * (2 if self._chance.random() < 0.15 else 1)

    def _later(self) -> None:
        """Something happens to recordings of before."""
        chance, keys = self._chance, list(self._uploads)
        if chance.random() < 0.3:
            last = self._uploads[chance.choice(keys)][-1]
            if last.key in self.scene.recordings.objects:
                self.report.uploaded_again += 1
                self._put(last.key, last.data, last.kind, last.text)
        if chance.random() < 0.2:
            self.report.overwritten += 1
            key = chance.choice(keys)
            number = int(re.findall(r"(\d{6})", key)[0])
            self._put(key, mono(tone(number, chance.randrange(310, 900), 20)), "good", f"call {number}")
        if chance.random() < 0.05:
            self.scene.recordings.objects.pop(chance.choice(keys), None)
        if chance.random() < 0.4:
            job = self._job(chance.choice(self._uploads[chance.choice(keys)]).job)
            if job is not None and job.latest.published and len(job.generations) < 5:
                self.report.replays += 1
                event = json.dumps({"replay": {"job": job.id, "generation": job.latest.number}}).encode()
                self._events += [event] * chance.choice((1, 1, 2))

    async def _round(self) -> None:
        self._later()
        events, self._events = self._events, []
        self._chance.shuffle(events)
        for start in range(0, len(events), AT_ONCE):
            await asyncio.gather(*(self._platform(event) for event in events[start : start + AT_ONCE]))
        self._queue_goes_on()
        await self._callbacks()
        chance = self._chance.random()
        self.scene.clock.move(26 * HOUR if chance < 0.01 else 700 if chance < 0.2 else self._chance.randrange(90))
        await self._alive(lambda: self.scene.tick())

    async def _peace(self) -> None:
        """Nothing fails any more, and days go by."""
        self._at_peace = True
        for _ in range(60):
            self._queue_goes_on()
            await self._callbacks()
            self.scene.clock.move(HOUR)
            await self._alive(lambda: self.scene.tick())

    async def _platform(self, event: bytes) -> None:
        """Function Compute: an event that fails is delivered again, but not for ever."""
        for number in range(DELIVERIES):
            name = f"1-{self._chance.randrange(10**9)}-{number}"
            if await self._alive(lambda name=name: self.scene.deliver(event, request_id=name)):  # type: ignore[misc]
                return

    # The instances, which fail and die

    async def _alive(self, work: Callable[[], Awaitable[Any]]) -> bool:
        """Let a new instance do something; whether it said that it was done."""
        scene, chance = self.scene, self._chance
        scene.recognise = self._recognise  # type: ignore[assignment]
        wire = Tripwire(scene)
        scene.flash = lambda data, *_: wire.call("flash", _lost, lambda: self._whole(data, 0))
        scene.realtime = lambda pcm, *_: wire.call("realtime", _lost, lambda: self._spoken(pcm))
        struck_at = 0
        if not self._at_peace and chance.random() < 0.3:
            struck_at = chance.randint(1, 45)
            wire.arm(struck_at, chance.choice(("before", "after")), "death" if chance.random() < 0.4 else "error")
        begun = work()  # makes its instance with what was set just now, before anybody else is asked
        try:
            await begun
        except Killed:
            self.report.deaths += 1
            return False
        except IsiError:
            self.report.faults += 1
            return False
        self.report.faults += 0 < struck_at <= len(wire.calls)
        return True

    async def _callbacks(self) -> None:
        calls, self._calls = self._calls, []
        for address in calls:
            await self._alive(lambda address=address: self.scene.post(address))  # type: ignore[misc]

    # The speech service

    async def _recognise(self, pcm: bytes, *_: object) -> str:
        return heard(pcm)

    async def _spoken(self, pcm: bytes) -> tuple[Sentence, ...]:
        return (Sentence(0, 100, 0, heard(pcm)),)

    async def _whole(self, data: bytes, channel: int) -> tuple[Sentence, ...]:
        return (Sentence(0, 100, channel, heard(wav.read(data).data)),)

    async def _spend(self, *_: object) -> None:
        if not self._at_peace and self._chance.random() < 0.03:
            self.report.postponed += 1
            raise LimitError(code="limit.quota")

    def _queue_goes_on(self) -> None:
        """Some tasks end, well or not, and most of these are told."""
        chance = self._chance
        for number, order in enumerate(self._service.orders, start=1):
            task = f"task-{number:04d}"
            if task in self._service.ends or (not self._at_peace and chance.random() < 0.5) or _never_ends(order):
                continue
            fate = 1.0 if self._at_peace else chance.random()
            if fate < 0.05:
                self._service.fail("nls.file_not_fetched", retryable=True, task=task)
            elif fate < 0.08:
                self._service.fail("nls.task_failed", retryable=True, task=task)
            elif fate < 0.1:
                self._service.fail("nls.task_expired", task=task)
            else:
                self._service.ends[task] = self._fetched(order)
            self._calls += [order.callback_url] * chance.choice((0, 1, 1, 1, 2))

    def _fetched(self, order: FileOrder) -> Finished | Failed:
        key = order.url.removeprefix("https://state.example.com/").partition("?")[0]
        found = self.scene.state.objects.get(key)
        if found is None:
            error = SpeechError(code="nls.file_not_fetched")
            error.retryable = True
            return Failed(error)
        return Finished((Sentence(0, 100, 0, heard(wav.read(found.data).data)),))

    # The end

    def _job(self, identifier: str) -> Job | None:
        stored = self.scene.state.objects.get(f"jobs/{identifier}.jsonl")
        return None if stored is None else fold(_records(stored.data))

    def _judge(self) -> None:
        report, scene = self.report, self.scene
        for prefix in ("open/", "work/"):
            for key in scene.keys(prefix):
                report.wrong.append(f"{key} is left")
        seen: set[str] = set()
        for versions in self._uploads.values():
            for upload in versions:
                job = self._job(upload.job)
                is_there = upload is versions[-1] and upload.key in scene.recordings.objects
                if job is None and (upload.told or is_there):
                    report.wrong.append(f"{upload.key} ({upload.kind}) has no job")
                if job is not None and job.id not in seen:
                    seen.add(job.id)
                    self._judge_job(upload, job, is_there)
        self._judge_orders(seen)
        report.jobs = len(seen)

    def _judge_job(self, upload: Upload, job: Job, is_there: bool) -> None:
        wrong = self.report.wrong
        types = [(each["type"], each.get("generation")) for each in _records(self._journal(job))]
        for generation in job.generations:
            self.report.generations += 1
            where = f"{job.key} ({upload.kind}), generation {generation.number}"
            for kind in ("terminal", "published"):
                if types.count((kind, generation.number)) != 1:
                    wrong.append(f"{where}: {types.count((kind, generation.number))} times {kind}")
            if generation.terminal is None:
                continue
            verdict = generation.terminal.verdict
            came_to = verdict.reason or verdict.state
            self.report.states[came_to] += 1
            if came_to not in ALLOWED[upload.kind] | AFTER_TROUBLE:
                wrong.append(f"{where}: {came_to}")
            self.report.possible_doubles += verdict.possible_double
            if verdict.state == "done":
                self.report.done += 1
                self._judge_files(upload, job, generation, is_there)

    def _judge_files(self, upload: Upload, job: Job, generation: Generation, is_there: bool) -> None:
        """What lies in a generation's places is what its attempt made, and holds what was said in its recording."""
        wrong, lying, terminal = self.report.wrong, self.scene.recordings.objects, generation.terminal
        if terminal is None:
            return
        is_shared = any(each.job != job.id for each in self._uploads[job.key])  # by versions of one recording
        is_latest = is_there and generation is job.latest
        for name in terminal.verdict.files:
            kind = name.rpartition(".")[2]
            made = self.scene.state.objects[f"attempts/{job.id}/{generation.number}/{terminal.attempt}/{name}"].data
            places = [] if is_shared else [kept(job, generation.number)[kind]]
            places += [outputs(job)[kind]] if is_latest else []
            wrong += [
                f"{place} is not what its attempt made"
                for place in places
                if generation.placed and lying[place].data != made
            ]
            if kind == "json":
                told = json.loads(made)
                texts = {turn["text"] for turn in told["turns"]}
                if told["job_id"] != job.id or texts != {upload.text}:
                    wrong.append(f"{job.key}: holds {texts}, said was {upload.text}")

    def _judge_orders(self, seen: Iterable[str]) -> None:
        """The queue was given nothing that no journal knows of."""
        orders = Counter(tuple(order.url.split("/")[4:6]) for order in self._service.orders)
        self.report.submissions = len(self._service.orders)
        for identifier in seen:
            job = self._job(identifier)
            for generation in job.generations if job else ():
                intended = len(generation.submissions)
                given = sum(n for (owner, at), n in orders.items() if (owner, at.partition(".")[0]) == (
                    identifier, str(generation.number)))  # fmt: skip
                causes = [each.cause for each in generation.submissions]
                if given > intended or len(causes) != len(set(causes)):
                    self.report.wrong.append(f"{identifier}: {given} submissions for {causes}")

    def _journal(self, job: Job) -> bytes:
        return self.scene.state.objects[f"jobs/{job.id}.jsonl"].data


def _records(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def _never_ends(order: FileOrder) -> bool:
    """One task in 64 never ends; which, its job says."""
    return order.url.split("/")[4].startswith(("00", "40", "80", "c0"))


def _lost() -> SpeechUnavailable:
    return SpeechUnavailable("no answer", code="nls.connection_lost")


async def soak(seed: int, count: int, told: Callable[[Report], None] = lambda _: None) -> Report:
    """One soak of a seed."""
    return await Soak(seed).run(count, told)


def main(arguments: list[str]) -> int:
    """`scripts/soak transcripts`."""
    return soak_command.run(arguments, "transcripts", 1_000, "recordings", soak, lambda report: report.recordings)
