"""`scripts/demo`. Ctrl-C is exit 130 from the first moment on, so everything else is imported inside."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the demo; SIGTERM ends it like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from ops.demo.journey import run

        run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)


main()
