"""The canary over the logs of the whole suite: what must never be logged, and the looking for it in what was logged.

Fixtures and helpers tell it the keys, tokens, texts and transcripts they make; shapes (`SHAPES`) catch the secrets that
nobody told. `tests/conftest.py` asks at the end of each worker's session. What it finds is named by file, line and
kind, never by the secret itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

SHAPES: dict[str, re.Pattern[str]] = {
    "AccessKey id": re.compile(r"LTAI[A-Za-z0-9]{8,}"),
    "STS id": re.compile(r"STS\.[A-Za-z0-9]{8,}"),
    "STS token": re.compile(r"CAIS[A-Za-z0-9_+/=-]{16,}"),
    "signature": re.compile(r"(?i)signature[=:]|signature['\"] ?: ?['\"]|\bauthorization['\"]?[=:]"),
    "signed URL": re.compile(r"(?i)security-token=|OSSAccessKeyId=|x-oss-credential="),
    "JWT": re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}"),
    "speech token": re.compile(r"(?i)token['\"]?[ =:]{1,3}['\"]?[0-9a-f]{32}(?![0-9a-z])"),
    # A trace id has 32 hex digits too, between dashes.
    "32 hex digits, as of a speech token": re.compile(r"(?<![0-9A-Za-z-])[0-9a-f]{32}(?![0-9A-Za-z-])"),
}
_TEXT_FIELDS = frozenset({"text", "ssml"})
_LEAST_LETTERS = 5  # what is shorter stands in a log line by chance
_KEPT = 40  # characters of either end of a long text that are looked for


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in a log: where, and of which kind."""

    where: str
    kind: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}"


@dataclass
class Canary:
    """What is secret, by kind, and what this process logged itself.

    Attributes
    ----------
    known
        Secret to kind.
    lines
        Lines logged in this process, with the test that was running.
    """

    known: dict[str, str] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def secret(self, kind: str, *values: str) -> None:
        """Keys, tokens and their like: searched for as they are."""
        for value in values:
            if len(value) >= 6:
                self.known[value] = kind

    def text(self, *texts: str, kind: str = "text") -> None:
        """Texts and transcripts: searched for as they are, escaped as in JSON, and quoted as in a URL."""
        for text in texts:
            for part in {text[:_KEPT], text[-_KEPT:]}:
                if sum(map(str.isalpha, part)) < _LEAST_LETTERS or not part.isprintable():
                    continue
                if re.fullmatch(r"[A-Za-z0-9_.-]{1,16}", part):
                    continue  # also the name of something
                if len(set(part)) < 3:
                    continue  # "aaaa...": so do made-up ids look, which are logged
                self.known[part] = kind
                self.known[json.dumps(part)[1:-1]] = kind
                self.known[quote(part)] = kind

    def body(self, body: Any) -> None:
        """A request's JSON, parsed or not: its texts."""
        if isinstance(body, (bytes, str)):
            try:
                body = json.loads(body)
            except (ValueError, RecursionError):
                return
        if isinstance(body, Mapping):
            self.text(*(value for name, value in body.items() if name in _TEXT_FIELDS and isinstance(value, str)))

    def in_text(self, text: str) -> Iterator[tuple[int, str]]:
        """Line numbers, from 1, and kinds of what is found in logged text."""
        for secret, kind in self.known.items():
            if (at := text.find(secret)) >= 0:
                yield text.count("\n", 0, at) + 1, kind
        for kind, shape in SHAPES.items():
            if found := shape.search(text):
                yield text.count("\n", 0, found.start()) + 1, kind

    def in_files(self, files: Iterable[Path]) -> list[Finding]:
        """What is found in files, the first place for each kind."""
        findings = {
            Finding(f"{file}:{line}", kind)
            for file in files
            for line, kind in self.in_text(file.read_text(encoding="utf-8", errors="replace"))
        }
        return sorted(findings, key=str)

    def in_lines(self) -> list[Finding]:
        """What is found in what this process logged."""
        if not any(True for _ in self.in_text("\n".join(line for _, line in self.lines))):
            return []
        return sorted({Finding(test, kind) for test, line in self.lines for _, kind in self.in_text(line)}, key=str)


def logs_below(folder: Path) -> Iterator[Path]:
    """Files that a localcloud, an instance or a host wrote as its log: `logs/*.jsonl` and `*.log`."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here.name == "logs":
            folders.clear()
        folders[:] = [name for name in folders if name not in _NO_LOGS]
        for name in files:
            if name.endswith(".log") or (here.name == "logs" and name.endswith(".jsonl")):
                yield here / name


_NO_LOGS = frozenset({"oss", "fc", "code", "layers", "site-packages", "python", "__pycache__"})

CANARY = Canary()
"""This process's own."""
