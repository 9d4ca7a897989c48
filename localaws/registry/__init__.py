"""A container registry, as Amazon ECR is one: images on disk, ECR's operations, the registry protocol (version 2).

    blobs.py        what images are made of: files named by their content, and uploads on their way there
    manifests.py    what a manifest names
    repositories.py what a repository can be
    images.py       which images, tags and blobs each repository has
    operations.py   ECR's operations on images, and layers.py those on layers
    paths.py        which requests are a registry's
    protocol.py     what docker, podman and buildah speak: a request's meaning, an answer
    tokens.py       authorization tokens, and URLs that carry their own permission
    serving.py      that protocol over HTTP; service.py: the registry as a whole
    references.py   an image's URI
    refusals.py     what is refused, in ECR's words

It knows nothing of who serves it: an adapter gives it a folder, a store that is kept on disk, and a clock.
"""
