"""Who is told when a recording has its outcome: the tenant's webhook, and the destination of the function's calls."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from ops.endpoints import Endpoints
from ops.functions import Functions
from support.lease_tenants import bucket_of
from support.local_cloud import Local, running
from unit.transcripts.scene import mono, silence, speech

pytestmark = pytest.mark.xdist_group("completion")
CLIENT = Path(__file__).parents[2] / "docs" / "clients" / "python" / "webhook.py"


def reference_client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webhook_client", CLIENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A receiver of webhooks, and what it was sent."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((dict(self.headers.items()), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def eventually(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError("it never came")


def test_webhook_and_destination_are_told_of_a_recording_by_names_and_paths(tmp_path: Path) -> None:
    with receiver() as (url, came), running(tmp_path / "out") as cloud:
        secret = prepare(cloud, url)
        endpoints = Endpoints.read(cloud.out / "run" / "endpoints.json")
        queue = f"acs:mns:{endpoints.region}:{endpoints.account_id}:/queues/transcripts/messages"
        config = {
            "qualifier": "live",
            "maxAsyncRetryAttempts": 3,
            "destinationConfig": {"onSuccess": {"destination": queue}, "onFailure": {"destination": queue}},
        }
        Functions(endpoints).put_async_config("speech-asr-local", config)
        recordings, tenant = cloud.config["oss"]["buckets"]["recordings"], cloud.config["tenant"]["id"]
        key = f"in/{tenant}/silent call.wav"
        bucket_of(cloud, recordings).put_object(key, mono(silence(1000)), headers={"x-oss-meta-call-id": "c-7"})
        headers, body = eventually(lambda: came)[0]
        told = json.loads(body)
        assert reference_client().verified_id(headers, body, secret) == told["event_id"]
        assert (told["state"], told["key"], told["call_id"]) == ("done", key, "c-7")
        assert told["outputs"]["json"] == f"transcripts/{tenant}/silent call.wav.json"
        sent = eventually(lambda: sent_to(cloud, told["job_id"]))
        assert sent["destination"] == queue
        (job,) = json.loads(sent["content"]["responsePayload"])["jobs"]
        assert (job["outcome"], job["state"], job["outputs"]) == ("ended", "done", told["outputs"])
        # A longer one ends with the service's callback, which leaves the work to an asynchronous call.
        key = f"in/{tenant}/long call.wav"
        bucket_of(cloud, recordings).put_object(key, mono(speech(1000) + silence(61_000)))
        told = json.loads(eventually(lambda: came[1:])[0][1])
        assert (told["state"], told["key"]) == ("done", key)
        sent = eventually(lambda: sent_to(cloud, told["job_id"], outcome="ended"))
        (job,) = json.loads(sent["content"]["responsePayload"])["jobs"]
        assert (job["state"], job["outputs"]) == ("done", told["outputs"])
        assert json.loads(sent["content"]["requestPayload"]) == {"resume": told["job_id"]}


def prepare(cloud: Local, url: str) -> str:
    """Give the tenant a webhook before the first request reads the tenants; its secret is there already."""
    bucket = bucket_of(cloud, cloud.config["oss"]["buckets"]["state"])
    content = json.loads(bucket.get_object("config/tenants.json").read())
    (secret_id, secret), *_ = json.loads(bucket.get_object("config/keys.json").read())["webhooks"].items()
    content["tenants"][0]["webhook"] = {"url": url, "secret_id": secret_id}
    bucket.put_object("config/tenants.json", json.dumps(content))
    return str(secret)


def sent_to(cloud: Local, job_id: str, outcome: str = "") -> dict[str, Any] | None:
    """What went to the destination about a job."""
    sent = requests.get(cloud.config["admin"] + "/async", timeout=10).json()["destinations"]
    payloads = ((one, one["content"]["responsePayload"]) for one in sent)
    return next((one for one, payload in payloads if job_id in payload and outcome in payload), None)
