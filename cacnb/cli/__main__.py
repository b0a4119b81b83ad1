"""`python -m cacnb.cli`."""

from cacnb.cli import main

if __name__ == "__main__":
    main()
