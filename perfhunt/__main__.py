"""`python -m perfhunt`."""

from perfhunt.cli import main

if __name__ == "__main__":
    main()
