"""RangeMap: which bank servers own which ranges of a memory, since which epoch.

Covers: choosing owners by rendezvous hashing, within an equal share of bytes. Does not cover: who is there (keeper.py),
asking owners (owners.py).

Each pair of server and range has a hash, and a range falls to the servers that have the highest; so the loss of a
server moves the ranges that it owned, and few others. The hash alone would give some servers twice what others get. So
the largest ranges choose first, and a server that has its share is passed over.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RangeMap:
    """Owners of every range.

    Attributes:
        epoch: rises with every change.
        generation: of the memory, as it is since this epoch: a Manifest's, for a digest stays when files are replaced.
        owners: of each range, the numbers of its servers, first the one that is asked first; none where nobody is.
    """

    epoch: int
    generation: str
    owners: tuple[tuple[int, ...], ...]

    def owned_by(self, server: int) -> list[int]:
        """The ranges of a server."""
        return [index for index, owners in enumerate(self.owners) if server in owners]


def choose_owners(sizes: Sequence[int], servers: Collection[int], replicas: int) -> tuple[tuple[int, ...], ...]:
    """The owners of each range, as many as `replicas` and no more than there are servers.

    Args:
        sizes: of the ranges, in bytes.
    """
    count = min(replicas, len(servers))
    if not count:
        return ((),) * len(sizes)
    share = sum(sizes) * count / len(servers)
    held, owners = dict.fromkeys(servers, 0), dict[int, tuple[int, ...]]()
    for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        score = {server: _score(server, index) for server in servers}
        ranked = sorted(servers, key=score.__getitem__, reverse=True)
        # half a range more than its share at most; then whoever has the least
        ranked.sort(key=lambda server: max(0.0, held[server] + sizes[index] / 2 - share))
        owners[index] = tuple(sorted(ranked[:count], key=score.__getitem__, reverse=True))
        for server in owners[index]:
            held[server] += sizes[index]
    return tuple(owners[index] for index in range(len(sizes)))


def _score(server: int, index: int) -> bytes:
    return hashlib.blake2b(f"{server} {index}".encode(), digest_size=8).digest()
