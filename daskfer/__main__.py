"""``python -m daskfer``."""

from daskfer.cli import main

if __name__ == "__main__":
    main()
