"""Sizes and times as people write them: 4GB, 60s.

Covers: showing bytes, reading bytes and seconds. Does not cover: what is planned with them (planning/).
"""

from memo_dist.errors import ConfigError


def show_bytes(count: float) -> str:
    """1234567 -> "1.2 MB"; decimal, as disks and budgets are."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def parse_bytes(text: str) -> int:
    """ "4GB" -> 4_000_000_000; also plain bytes, KB, MB, TB and KiB to TiB.

    Raises:
        ConfigError: it is not a size.
    """
    units = {"": 1, "B": 1}
    for power, letter in enumerate("KMGT", start=1):
        units |= {letter: 1000**power, f"{letter}B": 1000**power, f"{letter}IB": 1024**power}
    stripped = text.strip().upper()
    number = stripped.rstrip("KMGTIB ")
    unit = stripped[len(number) :].strip()
    try:
        size = float(number) * units[unit]
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{text!r} is not a size; expected a number with a unit, such as 4GB or 512MiB") from error
    if not 1 <= size < 2**63:
        raise ConfigError(f"{text!r} is not a size; expected at least 1 byte and less than 2**63")
    return int(size)


def parse_seconds(text: str) -> float:
    """ "60s" -> 60.0; also ms, m, h, and plain seconds.

    Raises:
        ConfigError: it is no time above 0.
    """
    units = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
    stripped = str(text).strip().lower()
    number = stripped.rstrip("minsh ")
    try:
        seconds = float(number) * units[stripped[len(number) :].strip()]
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{text!r} is not a time; expected a number with a unit, such as 60s or 10m") from error
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{text!r} is not a time above 0, such as 60s or 10m")
    return seconds


def show_seconds(seconds: float) -> str:
    """5400 -> "1.5 h"."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"
