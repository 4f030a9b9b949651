"""``python -m pyfer`` is the command ``pyfer``."""

from pyfer.cli import main

if __name__ == "__main__":
    main()
