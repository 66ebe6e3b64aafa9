"""The entry point. `--version` is answered before the command-line library is loaded."""

from __future__ import annotations

import gc
import sys

from flakegate.version import VERSION


def main() -> None:
    """Runs the command line and exits with its code."""
    if sys.argv[1:] == ["--version"]:
        print(f"flakegate {VERSION}")
        return
    # Nearly all that a call makes lives to its end; searching it for garbage takes time.
    gc.set_threshold(50_000)
    from flakegate.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
