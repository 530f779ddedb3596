"""`python -m facecrop`: the same program as the `facecrop` command."""

from facecrop.cli import main

if __name__ == "__main__":
    main()
