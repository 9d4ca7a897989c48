"""An audit of labels by cross-validated predictions: which examples are probably labelled wrong, and how many."""
