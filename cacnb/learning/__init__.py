"""Torch lives here and nowhere else: networks, batches, training loop, three learners, weights."""
