"""Jobs: the engine that runs them, and a module for every kind."""
