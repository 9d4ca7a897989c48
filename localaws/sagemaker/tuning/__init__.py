"""How a tuning job searches: spaces, strategies, early stopping, completion; functions of what is known so far."""
