"""Whether the inference library can load a file, tried in a process of its own.

A damaged file can make native code abort, and the library says why it failed only on its standard error: both stay
with the child process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from llamafarm.errors import EngineError, ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["probe"]

_CONTEXT = 256  # tokens: only the file is on trial here
_SECONDS = 600.0
_REASON = re.compile(r"^\S+ E .*?error loading model: (?P<reason>.+)$", re.MULTILINE)
_ERROR = re.compile(r"^\S+ E (?P<reason>.+)$", re.MULTILINE)
_LOADED, _REFUSED = 0, 3


def probe(path: Path) -> None:
    """Load a model file in a child process, reading and checking all of its weights. Blocks until that is done.

    Raises `ModelFileError` with the library's reason where it refuses the file, `EngineError` where it crashes.
    """
    command = [sys.executable, "-m", __name__, str(path)]
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module; the path is an argument, not a command
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except OSError as error:
        raise EngineError(f"{path} could not be tried: {sys.executable} does not start ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{path} could not be loaded within {_SECONDS:.0f} s") from error
    if child.returncode == _LOADED:
        return
    said = child.stderr.decode("utf-8", "replace")
    match = _REASON.search(said) or _ERROR.search(said)
    reason = match["reason"].replace(str(path), path.name) if match else ""
    if child.returncode == _REFUSED:
        raise ModelFileError(f"{path} cannot be loaded: {reason or 'the inference library gives no reason'}")
    raise EngineError(
        f"{path} crashed the inference library (exit {child.returncode}) when it was tried"
        f"{': ' + reason if reason else ''}; the file is damaged, or needs more memory than there is"
    )


def _main(path: str) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = _CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = params.fit_params = params.ui = params.endpoint_slots = False
    params.check_tensors = params.offline = True
    params.verbosity = 1  # errors
    params.api_keys = [os.urandom(32).hex()]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        sys.stderr.flush()
        # The library's log thread may still be writing; it is done when the interpreter ends in order.
        sys.exit(_REFUSED)
    # Nothing to take down: the process was all there was. Freeing a server whose loop has not begun would hang.
    os._exit(_LOADED if server else _REFUSED)


if __name__ == "__main__":
    _main(sys.argv[1])
