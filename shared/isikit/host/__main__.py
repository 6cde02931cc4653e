"""`python3 -m isikit.host functions.prompts.app`: serve one function module on Function Compute's port."""

from __future__ import annotations

import argparse
import os
import sys

from isikit.host.server import serve


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python3 -m isikit.host", description=__doc__)
    parser.add_argument("module", help="Python module with app and/or handler, for example functions.prompts.app")
    return serve(parser.parse_args().module)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not sys.exit: it waits for threads, and the speech SDK's are not daemons and may hang on a dead peer for ever.
    os._exit(code)
