"""The steps of a run, a file a step: its states, the requests that it makes, and the grants that they need."""
