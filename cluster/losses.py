"""Losses: lost processes and nodes, and after how many of them the work gives up.

Covers: counting losses without progress between them, for builds and recall jobs alike. Knows nothing of Ray. Does not
cover: what is lost with a process, and how the work begins again (run.py, recall_job.py).
"""

IN_A_ROW = 3  # losses without progress between them, after which the work gives up


class Losses:
    """The losses of one run or job.

    Args:
        most: losses in a row without progress that end the work.

    Attributes:
        count: all losses so far.
    """

    def __init__(self, most: int = IN_A_ROW) -> None:
        self.count = 0
        self._most, self._in_a_row = most, 0

    def add(self, *, progressed: bool) -> bool:
        """Count a loss; whether the work goes on.

        Args:
            progressed: something was finished since the loss before, or since the beginning.
        """
        self.count += 1
        self._in_a_row = 0 if progressed else self._in_a_row + 1
        return self._in_a_row < self._most
