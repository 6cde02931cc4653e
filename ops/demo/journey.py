"""The demo: starts the cloud on this machine, does the main job and shows what happened."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import oss2
import requests
from rich.console import Console

from ops.demo import cloud, lease, log_table, prompts, recording
from ops.demo.sound import silence, write_wav

PROMPTS = (
    ("welcome", "Welcome to Northwind Bank. Please hold the line, someone will be with you shortly.", "permanent"),
    ("balance", "Thank you. Your account balance is four hundred and twenty dollars.", "day"),
)
CALLER = (
    "Hello, I would like to check the balance of my savings account.",
    "I also lost my credit card yesterday, so please block it.",
    "Thank you very much for your help, and have a nice day.",
)
RECORDING_KEY = "in/demo/2026/11/22/call-1.wav"
MOST_WORDS_WRONG = 0.25
FAILURES = (
    cloud.CloudFailed,
    lease.SpeechFailed,
    prompts.PromptWrong,
    recording.TranscriptMissing,
    requests.RequestException,
    oss2.exceptions.OssError,
)


class Demo:
    """The four steps, with the clock that they are told by."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._started = time.monotonic()
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """One line of progress with the seconds since the start."""
        self._console.print(f"[dim]{time.monotonic() - self._started:5.1f} s[/dim]  ", end="")
        self._console.print(line, markup=False)

    def run(self, local: dict[str, Any]) -> None:
        """The main job."""
        self._speak(local)
        self._prompts(local)
        wrong = self._transcribe(local)
        self._console.print(log_table.table(self._out / "logs"))
        self.say(f"done: audio in {self._out}/audio, transcripts in {self._out}/transcripts, logs in {self._out}/logs")
        if wrong > MOST_WORDS_WRONG:
            sys.exit(f"demo: {wrong:.0%} of the words are wrong")

    def _speak(self, local: dict[str, Any]) -> None:
        self.say("1. an API-Gateway client leases a token and speaks with the official SDK")
        granted = lease.lease(local)
        self.say(f"   lease for {granted['expires_in']} s, refresh in {granted['refresh_in']} s")
        pause = silence(lease.RATE_HZ, 800)
        pcm = pause + b"".join(lease.speak(granted, sentence) + pause for sentence in CALLER)
        write_wav(self._out / "audio/recording.wav", pcm, lease.RATE_HZ)
        self.say(f"   the caller's words: {len(pcm) / 2 / lease.RATE_HZ:.1f} s of audio")

    def _prompts(self, local: dict[str, Any]) -> None:
        self.say("2. an IVR platform asks for two prompts, fetches them as Asterisk does, and asks again")
        for name, text, retention in PROMPTS:
            prompt = prompts.journey(local, text, retention, self._out / "audio", name)
            self.say(f"   {retention}: {prompt.first}, then {prompt.again}; {prompt.duration_ms / 1000:.1f} s of audio")
            self.say(f"   {prompt.url}")

    def _transcribe(self, local: dict[str, Any]) -> float:
        self.say("3. a recording is uploaded to OSS; its event runs the asr function")
        recording.upload(local, self._out / "audio/recording.wav", RECORDING_KEY)
        transcript = recording.await_transcript(local, RECORDING_KEY, self._out / "transcripts")
        wrong = recording.word_error_rate(" ".join(CALLER), transcript.text)
        self.say(f"   spoken:     {' '.join(CALLER)}")
        self.say(f"   recognised: {' '.join(transcript.text.split())}")
        self.say(f"   {wrong:.1%} of the words wrong, {transcript.seconds:.1f} s after the upload")
        self.say(f"   {', '.join(file.name for file in transcript.files)}")
        return wrong


def run(arguments: Sequence[str]) -> None:
    """Run the demo; a failed step is one clear line and exit 1."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The main job, end to end, on this machine.")
    parser.add_argument("--engine", choices=["speech", "tone"], default="speech", help="tone is instant and not speech")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where everything is left (default: out)")
    options = parser.parse_args(arguments)
    demo = Demo(options.out)
    try:
        demo.say(f"starting the cloud on this machine ({options.engine})")
        with cloud.local_cloud(options.out, options.engine, demo.say) as local:
            cloud.clear(options.out)
            demo.run(local)
    except FAILURES as error:
        sys.exit(f"demo: {error}")
