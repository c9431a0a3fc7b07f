"""Extras: what `pip install memo-dist` leaves out, and the line that installs it.

Covers: which extra brings which library; one error for a library that is absent. Does not cover: what an extra holds
(pyproject.toml).

A library of an extra is imported where it is first used, inside `extra()`. Only the absence of that library itself
becomes a MissingExtraError: a misspelt import of this project stays what it is.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from memo_dist.errors import MissingExtraError

# top-level module -> extra; of two extras that bring a module, the smaller one
EXTRA_OF = {
    **dict.fromkeys(("backports", "dask", "fsspec", "psutil", "ray", "scipy", "threadpoolctl", "yaml"), "cluster"),
    **dict.fromkeys(("prometheus_client", "starlette", "uvicorn"), "serve"),
    "aiohttp": "reflect",
    **dict.fromkeys(("fastwarc", "resiliparse"), "web"),
    "matplotlib": "plots",
    "s3fs": "s3",
    "gcsfs": "gcs",
    "adlfs": "azure",
}


@contextmanager
def extra() -> Iterator[None]:
    """Imports inside this block may need an extra.

    Raises:
        MissingExtraError: a module of EXTRA_OF is absent; any other ImportError passes unchanged.
    """
    try:
        yield
    except ImportError as error:
        absent = missing_extra(error)
        if absent is None:
            raise
        raise absent from error


def require(*modules: str) -> None:
    """Look for modules of EXTRA_OF before long work that needs them at its end; loads none of them.

    Raises:
        MissingExtraError: some are absent; it names all of them and their extras.
    """
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        raise _absent(absent, sorted({EXTRA_OF[module] for module in absent}))


def missing_extra(error: BaseException) -> MissingExtraError | None:
    """The error to show instead of `error`, if that, or its cause, says that a module of EXTRA_OF is not installed."""
    if isinstance(error.__cause__, ModuleNotFoundError):  # fsspec words the absence of s3fs anew
        error = error.__cause__
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    module = error.name.partition(".")[0]
    return _absent([module], [EXTRA_OF[module]]) if module in EXTRA_OF else None


def _absent(modules: list[str], extras: list[str]) -> MissingExtraError:
    """The error that names libraries and the line that installs them."""
    are = "is not installed" if len(modules) == 1 else "are not installed"
    return MissingExtraError(f"{', '.join(modules)} {are}; run: pip install 'memo-dist[{','.join(extras)}]'")
