"""`python -m runtime` is `liftwatch`."""

from runtime.cli import main

if __name__ == "__main__":
    main()
