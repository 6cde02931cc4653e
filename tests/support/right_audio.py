"""What may be heard of prompts: whole renditions of takes that were really spoken of their own text, nothing else."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from unittest import mock

from functions.prompts import mastering, playing
from functions.prompts.rendition import RENDITIONS, derive
from support.prompting import Answer, FakeSpeaker, World, tone


def digests(speaker: FakeSpeaker, pieces: tuple[str, ...], filename: str, rate_hz: int = 16000) -> set[str]:
    """SHA-256 of every rendition that can be right: any take of each piece, joined in order."""
    takes: list[list[bytes]] = [[] for _ in pieces]
    for number, said in enumerate(speaker.said, 1):
        for place, piece in enumerate(pieces):
            if said.text == piece:
                takes[place].append((speaker.pcm or tone)(said, number))
    masters = (mastering.join(chosen, rate_hz) for chosen in itertools.product(*takes))
    return {hashlib.sha256(derive(pcm, rate_hz, RENDITIONS[filename]).body).hexdigest() for pcm in masters}


def is_audio_or_refusal(answer: Answer) -> bool:
    """The rule of all audio paths: audio, an answer about audio, or an error that no player keeps."""
    kind = answer.headers.get("content-type", "")
    if answer.status in (200, 206):
        return kind.startswith("audio/")
    if answer.status == 304:
        return answer.body == b""
    lasting = answer.headers.get("cache-control")
    return 400 <= answer.status <= 599 and lasting == "no-store, max-age=0" and kind == "application/problem+json"


async def heard_wrong(world: World, right: Callable[[str], set[str]]) -> list[str]:
    """Every published key that a new instance would let somebody hear though it is not right.

    `right` gives the digests of a file name's right audio; asked after the GET, which may have had it spoken again.
    It waits less than a player does for what a dead instance still claims.
    """
    wrong = []
    fresh = world.instance()
    for key in [key for key in world.bucket.objects if key.startswith(("p/", "e/"))]:
        with mock.patch.object(playing, "WAIT_SECONDS", 0.1):
            answer = await fresh.get(f"/{key}")
        if not is_audio_or_refusal(answer):
            wrong.append(f"{answer.status} {key}")
        if answer.status == 200 and hashlib.sha256(answer.body).hexdigest() not in right(key.rpartition("/")[2]):
            wrong.append(key)
    return wrong
