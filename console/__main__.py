"""python -m console: the program, from a checkout or an installed package.

Python puts the working directory before all others then; unless the program itself is there, nothing of it is to be
imported: it may be a corpus.
"""

import sys
from pathlib import Path

if not sys.flags.safe_path and Path(sys.path[0]).absolute() != Path(__file__).absolute().parents[1]:
    del sys.path[0]

from console.app import entry

if __name__ == "__main__":
    entry()
