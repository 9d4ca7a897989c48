"""The SageMaker of the embedded AWS: it trains, serves and registers for real.

service.py   SageMaker as one object
context.py   the things that every room is given
search.py    Search, over what the rooms have stored
core/        requests and errors, the store, events, listing, tags: knows no other room
containers/  images, the /opt/ml contract, archives, S3 as a role sees it, isolation
jobs/        the engine, and a module for every kind of job
hosting/     models, endpoint configurations, endpoints and their fleets
registry/    model package groups and model packages
debugger/    SageMaker Debugger's part in training jobs
"""
