"""Starts an engine worker. Run by path, in the engine's own environment:

    ENGINE_PYTHON -P .../tricorn/worker/__main__.py [--engine NAME]  < one line of JSON
                                                                (protocol.Launch), kept open

It loads the model, tells the manager `Ready` (or `LoadFailed`), serves its data socket, and ends
when the manager says so or is gone. A spare one imports its engine first, and gets its line later.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def _use_this_package() -> None:
    """Make `import tricorn` find this very copy, which the engine's environment need not have."""
    package = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location(
        "tricorn", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tricorn"] = module
    spec.loader.exec_module(module)


if "tricorn" not in sys.modules:
    _use_this_package()


def main() -> int:
    import asyncio

    import msgspec

    from tricorn import logs
    from tricorn.worker import spare
    from tricorn.worker.parent import end_with_parent, killed_with_parent
    from tricorn.worker.process import run
    from tricorn.worker.protocol import Launch

    is_spare = sys.argv[1:2] == ["--engine"]
    if is_spare:
        killed_with_parent()  # already: it may wait for long
        spare.import_engine(sys.argv[2])
    line = _read_line(0)
    if not line:
        return 1
    launch = msgspec.json.decode(line, type=Launch)
    end_with_parent(0)
    if is_spare:
        spare.write_to(launch.log_file)
    logs.set_up(level=launch.log_level, json=launch.log_json, process="engine")
    return asyncio.run(run(launch))


def _read_line(descriptor: int) -> bytes:
    """Empty at its end. No reader with a buffer: the lifeline goes on with the same descriptor."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(descriptor, 65536)
        if not data:
            return b""
        line += data
    return line


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by the interpreter's own end: taking apart what an engine's packages leave behind costs
    # seconds (vLLM), and the manager waits for this process.
    os._exit(code)
elif __name__ == "__mp_main__":
    # In a process that the engine starts by multiprocessing: this file is imported there first.
    from tricorn.worker.parent import killed_with_parent

    killed_with_parent()
