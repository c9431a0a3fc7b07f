"""Hosts: the names by which a service lets itself be asked.

Covers: what a request's Host header says. Does not cover: other pages that may ask (CORS, app.py), keys (guards.py).

A page of the web whose name is made to lead to this machine (DNS rebinding) is, to a browser, of one origin with the
service, and its scripts would read what the memory holds. Such a page is asked for by its name, so names are let in
only if they are known; addresses always are.
"""

import socket
from collections.abc import Collection, Iterable
from ipaddress import ip_address

ALL = "*"


def own_names(host: str, others: Iterable[str]) -> frozenset[str] | None:
    """The names of a service that listens on `host` and was given others; None if any name will do."""
    given = {name.lower() for name in others}
    return None if ALL in given else frozenset({"localhost", host.lower(), socket.gethostname().lower(), *given})


def is_known(header: str, names: Collection[str]) -> bool:
    """Whether a Host header, "name", "name:port", "address:port" or "[address]:port", is an address or one of `names`;
    a request without one comes from no browser."""
    name = header.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if not name or name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
