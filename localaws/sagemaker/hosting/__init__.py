"""Hosting: models, endpoint configurations, endpoints."""
