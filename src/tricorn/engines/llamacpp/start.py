"""llama.cpp as the registry makes it: what its library reads when it is loaded is set before."""

from __future__ import annotations

import os

from tricorn.engines.base import InferenceEngine


def create() -> InferenceEngine:
    spin_briefly()
    from tricorn.engines.llamacpp.cores import LlamaCppEngine

    return LlamaCppEngine()


def spin_briefly() -> None:
    """Unless the user has set how long.

    llama.cpp's threads wait for each other after every operation, by spinning for many milliseconds
    before they sleep. Where another process has the core of one of them, the others then keep it
    from coming back, and a step takes several times as long. This is a fifteenth of libgomp's
    default, as fast on an idle machine as far as could be measured. Read when libgomp is loaded,
    with llama_cpp.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
