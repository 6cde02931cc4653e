"""The tasks of file transcription: queued, run, kept and told to their callbacks.

Faults: `pop.SubmitTask` and `pop.GetTaskResult` are calls; `filetrans.task` strikes a task (its subject is
the file's URL): `error` ends it with `code` without (`when="before"`) or with (`after`) having recognised the file,
`delay` keeps it queueing `seconds` longer, `never_complete` keeps it running. `filetrans.callback` strikes a callback:
`drop` loses it, `duplicate` posts it twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from localcloud.clock import Clock
from localcloud.engines import Engine
from localcloud.faults import Fault, Faults
from localcloud.nls.download import DownloadFailed, download
from localcloud.nls.files import Recording, Unreadable
from localcloud.nls.messages import new_id
from localcloud.nls.status import Refusal
from localcloud.nls.transcript import Cut, Transcript, transcribe
from localcloud.pop.filetrans import documents, statuses
from localcloud.pop.filetrans.limits import FileLimits, Rate
from localcloud.pop.filetrans.order import FileOrder
from localcloud.pop.filetrans.statuses import FileRefusal

TICK_SECONDS = 0.02  # how often waiting tasks are judged by the movable clock
_log = logging.getLogger(__name__)
_BY_DOWNLOAD = {
    "forbidden": statuses.FILE_403,
    "missing": statuses.FILE_404,
    "server": statuses.FILE_SERVER_ERROR,
    "length": statuses.CONTENT_LENGTH,
    "too_large": statuses.FILE_TOO_LARGE,
}
_BY_FILE = {"too_long": statuses.TOO_LONG, "damaged": statuses.FILE_PARSE_FAILED}


@dataclass(slots=True)
class FileTask:
    """One task; times are epoch seconds of the movable clock."""

    task_id: str
    order: FileOrder
    submitted_at: float
    fault: Fault | None
    started_at: float | None = None
    work: asyncio.Task[tuple[int, Transcript | None]] | None = None
    done: documents.Document | None = None
    done_at: float = 0.0
    queries: Rate = field(default_factory=Rate)


class FileService:
    """All tasks of one account. Lives on one event loop."""

    def __init__(self, engine: Engine, faults: Faults, clock: Clock, limits: FileLimits | None = None) -> None:
        self.limits = limits or FileLimits()
        self._engine = engine
        self._faults = faults
        self._clock = clock
        self._tasks: dict[str, FileTask] = {}
        self._open: list[FileTask] = []
        self._submits, self._queries = Rate(), Rate()
        self._news = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()

    def submit(self, order: FileOrder) -> FileTask:
        """Queue a task."""
        fault = self._faults.begin("filetrans.task", order.file_link)
        task = FileTask(new_id(), order, self._clock.now(), fault)
        self._tasks[task.task_id] = task
        self._open.append(task)
        self._news.set()
        return task

    def admit_submit(self) -> None:
        """Count a SubmitTask against the user's rate, or raise `Throttling.User`."""
        self._submits.take(self._clock.now(), self.limits.submit_qps)

    def state(self, task_id: str) -> documents.Document:
        """The answer of GetTaskResult; 41050010 for a task that is unknown or was done too long ago.

        Raises
        ------
        PopError
            `Throttling.User` beyond the rate of the user or of this task.
        """
        now = self._clock.now()
        self._queries.take(now, self.limits.query_qps)
        task = self._tasks.get(task_id)
        if task is not None and task.done is not None and now - task.done_at > self.limits.kept_seconds:
            del self._tasks[task_id]
            task = None
        if task is None:
            return documents.finished(task_id, statuses.TASK_EXPIRED, now, None, words=False)
        task.queries.take(now, self.limits.task_qps, "The taskid requests frequency should be greater than 1qps")
        return task.done or documents.waiting(task_id, running=task.started_at is not None)

    async def alive(self, _app: web.Application) -> AsyncIterator[None]:
        """For `cleanup_ctx`: works while the application runs."""
        loop = asyncio.create_task(self._run())
        yield
        works = [task.work for task in self._open if task.work is not None]
        ending: list[asyncio.Task[object]] = [loop, *works, *self._telling]
        for one in ending:
            one.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # connections that were cut close at the next turn of the loop

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._open:
                for task in tuple(self._open):
                    self._step(task)
                await asyncio.sleep(TICK_SECONDS)

    def _step(self, task: FileTask) -> None:
        now = self._clock.now()
        if task.started_at is None:
            longer = task.fault.seconds if task.fault is not None and task.fault.action == "delay" else 0.0
            running = sum(one.started_at is not None for one in self._open)
            if now >= task.submitted_at + self.limits.queue_seconds + longer and running < self.limits.running:
                task.started_at = now
                task.work = asyncio.create_task(self._work(task))
        elif task.work is not None and task.work.done() and now >= task.started_at + self.limits.run_seconds:
            if task.fault is not None and task.fault.action == "never_complete":
                return
            status, transcript = task.work.result()
            self._open.remove(task)
            task.done_at = now
            task.done = documents.finished(task.task_id, status, now, transcript, words=task.order.words)
            if task.order.callback_url:
                telling = asyncio.create_task(self._tell(task, task.done))
                self._telling.add(telling)
                telling.add_done_callback(self._telling.discard)

    async def _work(self, task: FileTask) -> tuple[int, Transcript | None]:
        fault = task.fault if task.fault is not None and task.fault.action in ("error", "business") else None
        forced = int(fault.code) if fault is not None and fault.code.isdigit() else statuses.INTERNAL_ERROR
        if fault is not None and fault.when == "before":
            return forced, None
        try:
            found = await self._transcript(task.order)
        except FileRefusal as refusal:
            return refusal.status, None
        except DownloadFailed as error:
            return _BY_DOWNLOAD.get(error.reason, statuses.DOWNLOAD_FAILED), None
        except Unreadable as error:
            return _BY_FILE.get(error.reason, statuses.FILE_CHECK_FAILED), None
        except Refusal:
            return statuses.INTERNAL_ERROR, None
        except Exception:  # noqa: BLE001 - a task must end, whatever its file does to the decoder
            _log.exception("a transcription failed")
            return statuses.INTERNAL_ERROR, None
        # 8 kHz stereo is billed once, 16 kHz stereo by channel.
        billed = found.channels if task.order.project.sample_rate_hz == 16000 else 1
        self._faults.add("filetrans.recognition")
        self._faults.add("filetrans.recognition.audio_ms", found.duration_ms * billed)
        if fault is not None:
            return forced, found
        return statuses.SUCCESS if found.sentences else statuses.NO_VALID_FRAGMENT, found

    async def _transcript(self, order: FileOrder) -> Transcript:
        limits, rate_hz = self.limits, order.project.sample_rate_hz
        data = await download(order.file_link, limit_bytes=limits.file_bytes, seconds=limits.download_seconds)
        recording = await asyncio.to_thread(Recording, data)
        taken_as_hz = min(recording.rate_hz, 16000) if order.adaptive else recording.rate_hz
        if taken_as_hz != rate_hz:
            raise FileRefusal(statuses.UNSUPPORTED_SAMPLE_RATE)
        cut = Cut(rate_hz, order.channels, limits.audio_ms, order.silence_ms, order.longest_ms)
        return await transcribe(recording, cut, self._engine)

    async def _tell(self, task: FileTask, done: documents.Document) -> None:
        """Post the result, once and unsigned: no retry and no signature is documented."""
        fault = self._faults.begin("filetrans.callback", task.order.callback_url)
        action = fault.action if fault is not None else ""
        if fault is not None and action == "delay":
            await asyncio.sleep(fault.seconds)
        body = documents.callback(done, task.submitted_at, task.order.version)
        for _ in range({"drop": 0, "error": 0, "duplicate": 2}.get(action, 1)):
            sent = await self._posted(task.order.callback_url, body)
            self._faults.add("filetrans.callback.sent" if sent else "filetrans.callback.failed")

    async def _posted(self, url: str, body: documents.Document) -> bool:
        timeout = aiohttp.ClientTimeout(total=self.limits.callback_seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, json=body, allow_redirects=False),
            ):
                return True
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False


FILETRANS = web.AppKey("filetrans", FileService)
