"""Torch lives here and nowhere else: networks, batches, the training loop, the three learners, weights."""
