"""Public series from the Imaging Data Commons into a folder; not what is in them."""
