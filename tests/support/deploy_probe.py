"""A deploying command for tests: three functions that answer everything, and the result that localcloud waits for.

`--skip-result` leaves the result out, `--fail` ends with 3, `--hang` never ends, `--break NAME` deploys a function that
does not start.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import time
import zipfile
from pathlib import Path

from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils_models import Config

FUNCTIONS = {name: f"speech-{name}-test" for name in ("token", "tts", "asr")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoints", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--skip-result", action="store_true")
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--break", dest="broken", default="")
    options = parser.parse_args()
    if options.fail:
        sys.exit(3)
    if options.hang:
        time.sleep(600)
    endpoints = json.loads(options.endpoints.read_text())
    client = Client(
        Config(
            access_key_id=endpoints["access_key_id"],
            access_key_secret=endpoints["access_key_secret"],
            endpoint=endpoints["fc"].removeprefix("http://"),
            protocol="http",
        )
    )
    for name, function in FUNCTIONS.items():
        deploy(client, function, broken=name == options.broken, notes=options.result.with_name("notes.jsonl"))
    result = {
        "tenant": {"id": "demo", "api_key": "id.secret"},
        "buckets": {kind: f"speech-{kind}-test" for kind in ("prompts", "recordings", "state")},
        "functions": FUNCTIONS,
    }
    if not options.skip_result:
        options.result.write_text(json.dumps(result))


def deploy(client: Client, function: str, *, broken: bool, notes: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(Path(__file__).with_name("fc_function.py"), "main.py")
    given = models.CreateFunctionInput(
        function_name=function,
        runtime="custom.debian12",
        code=models.InputCodeLocation(zip_file=base64.b64encode(buffer.getvalue()).decode()),
        custom_runtime_config=models.CustomRuntimeConfig(command=["python3", "absent.py" if broken else "main.py"]),
        environment_variables={"NOTES": str(notes)},
        instance_concurrency=4,
    )
    client.create_function(models.CreateFunctionRequest(body=given))
    config = json.dumps({"authType": "anonymous", "methods": ["GET", "POST", "HEAD"]})
    trigger = models.CreateTriggerInput(trigger_name="http", trigger_type="http", trigger_config=config)
    client.create_trigger(function, models.CreateTriggerRequest(body=trigger))


if __name__ == "__main__":
    main()
