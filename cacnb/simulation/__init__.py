"""Scans whose calcium is known: thorax, lesions, motion, scanner, scan–rescan cohort."""
