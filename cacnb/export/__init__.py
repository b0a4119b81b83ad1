"""Back to people: the HTML report."""
