"""`ops.deploy local`, but every library of the deployed functions logs at DEBUG, to careless handlers of its own.

What a person might do in despair: DEBUG everywhere, handlers that print every record with its arguments, the SDKs'
own switches. It is done by a `sitecustomize` in front of the functions' path, so that no code of theirs changes.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

from ops import deploy, manifest

CARELESS = r"""
import logging, sys

def handle(self, record):
    # every record of every logger, with all that is in it, on stderr: nothing is filtered, nothing is careful
    text = f"DEBUG-CANARY {record.name} {record.levelname} {record.getMessage()} {record.args} {record.exc_info}"
    sys.stderr.write(text + f" {record.exc_text} {record.stack_info}\n")

logging.Logger.callHandlers = handle
logging.Logger.isEnabledFor = lambda self, level: True
logging.Logger.setLevel = lambda self, level: None
logging.disable = lambda level=0: None
"""


def main() -> None:
    """Entry point, with the arguments of `ops.deploy`."""
    folder = Path(tempfile.mkdtemp(dir=sys.argv[1]))
    del sys.argv[1]
    (folder / "sitecustomize.py").write_text(CARELESS)
    load = manifest.load

    def with_debug(*arguments: Any, **named: Any) -> manifest.Manifest:
        loaded = load(*arguments, **named)
        for resource in loaded.resources.values():
            environment = resource.props["environmentVariables"]
            resource.props["environmentVariables"] = {
                **environment,
                "PYTHONPATH": f"{folder}:{environment['PYTHONPATH']}",
                "DEBUG": "sdk",  # the core SDK's switch: it prints requests with their signatures
            }
        return dataclasses.replace(loaded)

    manifest.load = with_debug
    deploy.main()


if __name__ == "__main__":
    main()
