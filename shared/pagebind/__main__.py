"""``python -m pagebind``: the command, where its script is not on the path."""

from pagebind.cli.main import entry

if __name__ == "__main__":
    entry()
