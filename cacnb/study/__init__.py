"""From scans to claims: cohorts, detection, agreement."""
