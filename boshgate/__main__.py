"""``python -m boshgate``: the command line."""

from boshgate.cli import main

if __name__ == "__main__":
    main()
