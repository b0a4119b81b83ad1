"""Whether a patient's calcium changed between two scans: files read, numbers judged elsewhere."""
