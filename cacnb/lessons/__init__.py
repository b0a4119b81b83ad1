"""What the notebooks show of a study: charts, pictures, tables and trainings; no new arithmetic."""
