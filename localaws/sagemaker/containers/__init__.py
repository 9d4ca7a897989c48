"""Containers without Docker, and what goes into and comes out of them."""
