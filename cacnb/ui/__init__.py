"""What a person sees and touches: widgets for notebooks and apps; no torch, no scoring rules."""
