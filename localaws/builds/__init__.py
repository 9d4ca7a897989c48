"""Builds, as AWS CodeBuild runs them: a project's buildspec over its source, beside the server.

    service.py        projects' builds: started, listed, stopped; what a restart finds cut off
    projects.py       which settings of a project are done here; the others are refused by name
    records.py        a build as BatchGetBuilds shows it: its phases, contexts and times
    run.py            one build from its start to its end
    source.py         the project's source, fetched as its role
    buildspec.py      buildspec.yml as values, or why it can't be one
    agent.py          runs in the build's container: the phases' commands, one after the other
    machine.py        the build's container, and the programs that are in it: aws, docker, curl
    launcher.py       starts a program of the machine's with the files of who asked for it
    docker_client.py  the program `docker` of the container, which asks
    docker_service.py who does it beside the container
    image_tool.py     by which tool of this machine: buildah or podman
    layer_store.py    where images and their layers are kept between builds
    docker_command.py what docker's command lines mean to such a tool
    docker_images.py  the formats of `docker image inspect`
    surroundings.py   the AWS around: roles, logs, events, the registry

A build's container is one like a job's (`localaws.confinement`). What its Dockerfiles RUN is kept in by the tool's
chroot isolation, inside a file system that has neither this AWS's state nor a home; docs/containers.md says how far.
"""

RUNNING = "running"  # below the folder of all builds: what they write to while they run
