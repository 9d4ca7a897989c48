"""The views that come with the toolkit, a module each; contract/built_in_views.py has their parameters."""
