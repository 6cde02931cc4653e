"""Checks of what is believed of Function Compute: by a small function of the probe's own, deleted afterwards."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import probe_clients
from ops.probe_check import Check, Probe, Seen

RUNTIME = "custom.debian12"
START_SECONDS = 60.0
OWN_ORIGIN, PAGE_ORIGIN = "https://own.example.com", "https://page.example.com"
_POLL_SECONDS = 0.5
_SOURCE = Path(__file__).with_name("probe_function.py.txt")


@dataclass(frozen=True, slots=True)
class Guest:
    """The probe's function; `url` is its HTTP trigger's."""

    url: str

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        """Status, and what the function says of itself (empty when somebody else answered)."""
        import requests

        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = requests.get(self.url + path, headers=sent, timeout=probe_clients.TIMEOUT_SECONDS)
        try:
            said = answer.json()
        except ValueError:
            said = {}
        return answer.status_code, said if isinstance(said, dict) and "instance" in said else {}

    def allows(self, origin: str) -> str:
        """The origin that the answer to a page of `origin` allows; the function itself says `OWN_ORIGIN`."""
        import requests

        headers = {"Origin": origin} if origin else {}
        answer = requests.get(self.url + "/", headers=headers, timeout=probe_clients.TIMEOUT_SECONDS)
        return str(answer.headers.get("Access-Control-Allow-Origin", ""))


def _guest(probe: Probe) -> Guest:
    """The function, deployed at the first call."""
    found: Guest = probe.once("guest", lambda: _deploy(probe))
    return found


def _deploy(probe: Probe) -> Guest:
    from alibabacloud_fc20230330 import models

    client, name = probe_clients.functions(probe.target), f"isi-probe-{probe.run_id}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("main.py", _SOURCE.read_text(encoding="utf-8"))
    function = models.CreateFunctionInput().from_map(
        {
            "functionName": name,
            "description": "Made by scripts/probe; may be deleted",
            "runtime": RUNTIME,
            "handler": "none",
            "cpu": 0.35,
            "memorySize": 512,
            "diskSize": 512,
            "timeout": 30,
            "instanceConcurrency": 10,
            "customRuntimeConfig": {
                "command": ["python3", "/code/main.py"],
                "port": 9000,
                "healthCheckConfig": {"httpGetUrl": "/healthz", "periodSeconds": 3, "timeoutSeconds": 1,
                                      "failureThreshold": 3, "successThreshold": 1, "initialDelaySeconds": 0},
            },
            "code": {"zipFile": base64.b64encode(archive.getvalue()).decode()},
        }
    )  # fmt: skip
    client.create_function(models.CreateFunctionRequest(body=function))
    probe.undo.append(lambda: client.delete_function(name))
    trigger = models.CreateTriggerInput(
        trigger_name="http",
        trigger_type="http",
        trigger_config=json.dumps({"authType": "anonymous", "methods": ["GET"]}),
    )
    made = client.create_trigger(name, models.CreateTriggerRequest(body=trigger)).body
    probe.undo.append(lambda: client.delete_trigger(name, "http"))
    guest = Guest(str(made.http_trigger.url_internet).rstrip("/"))
    give_up = time.monotonic() + START_SECONDS
    while not guest.get("/")[1] and time.monotonic() < give_up:
        time.sleep(_POLL_SECONDS)
    return guest


def runtime_and_gateway(probe: Probe) -> Seen:
    """The runtime runs Python, and the speech gateway of the region answers."""
    import requests

    status, said = _guest(probe).get("/")
    try:
        answer = requests.get(probe.target.nls_rest + "/", timeout=probe_clients.TIMEOUT_SECONDS)
        gateway = f"HTTP {answer.status_code}"
    except requests.RequestException as error:
        gateway = type(error).__name__
    text = f"{RUNTIME}: HTTP {status}, Python {said.get('python', 'none')}; speech gateway: {gateway}"
    return Seen.judged(text, bool(said) and gateway.startswith("HTTP "))


def forged_headers(probe: Probe) -> Seen:
    """A client that claims to be the platform."""
    forged = {"x_fc_control_path": "/invoke", "x_fc_request_id": "forged"}
    status, said = _guest(probe).get("/invoke", **forged)
    saw = said.get("control") or "none"
    return Seen.judged(f"HTTP {status}, x-fc-control-path at the function: {saw}", saw != "/invoke")


def error_keeps_instance(probe: Probe) -> Seen:
    """The same instance before and after an answer of 500."""
    guest = _guest(probe)
    before = guest.get("/")[1].get("instance")
    status = guest.get("/500")[0]
    after = guest.get("/")[1].get("instance")
    same = bool(before) and before == after
    return Seen.judged(f"HTTP {status}, then {'the same' if same else 'another'} instance", same)


def reflected_origin(probe: Probe) -> Seen:
    """Whose word on cross-origin access a page gets: the function's or the platform's."""
    guest = _guest(probe)
    without, page = guest.allows(""), guest.allows(PAGE_ORIGIN)
    named = {OWN_ORIGIN: "the function's own", PAGE_ORIGIN: "the page's", "": "none"}
    text = f"without a page: {named.get(without, 'another')}; to a page: {named.get(page, 'another')}"
    return Seen.judged(text, page == PAGE_ORIGIN)


CHECKS = (
    Check(
        "clients cannot send `x-fc-*` headers through an HTTP trigger",
        "a function of the probe's own with an anonymous trigger for about a minute, shared",
        forged_headers,
    ),
    Check(
        "`cn-beijing` offers `custom.debian12` and the speech gateway",
        "the same function, one request to the speech gateway",
        runtime_and_gateway,
    ),
    Check(
        "a 500 of `app` on an HTTP trigger does not restart the instance (it does for events)",
        "the same function, three requests",
        error_keeps_instance,
    ),
    Check(
        "FC replaces what the function says of CORS with a reflected origin, when the trigger has no `corsConfig`",
        "the same function, two requests",
        reflected_origin,
    ),
)
