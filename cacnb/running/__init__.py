"""A whole study scored, resumable, on one core or many machines; it scores no scan itself."""
