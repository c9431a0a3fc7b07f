"""python -m memo_dist"""

from console.app import entry

if __name__ == "__main__":
    entry()
