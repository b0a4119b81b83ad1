"""The scan as numbers: series in and their verdicts, volumes, the paper's grids, heart geometry."""
