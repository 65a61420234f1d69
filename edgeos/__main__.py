"""`python -m edgeos` is the `edgeos` command."""

from edgeos.cli import main

if __name__ == "__main__":
    main()
