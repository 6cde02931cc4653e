"""`python -m localcloud [--out out] [--engine tone|speech] [--port-base N] [--deploy CMD...]`."""

import sys

if __name__ == "__main__":
    try:
        from localcloud.foreground import main

        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # while the modules were imported
        sys.exit(130)
