"""From map to number: CAC map, lesions, scores and their named conventions; numpy only."""
