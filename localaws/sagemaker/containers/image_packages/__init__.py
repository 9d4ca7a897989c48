"""Packages that AWS's images hold and PyPI doesn't: copied into an image's environment, and run there alone."""
