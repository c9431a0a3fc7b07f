"""python -m memo_dist"""

from memo_dist.cli.app import entry

if __name__ == "__main__":
    entry()
