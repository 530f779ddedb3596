"""The same program as the `facecrop` command: `python cli.py …`."""

from facecrop.cli import main

if __name__ == "__main__":
    main()
