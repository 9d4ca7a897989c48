"""What keeps a user's code inside: Linux's namespaces, mounts, capabilities and Landlock, with no Docker.

first_process.py  a container's first process: sets it up, starts its program, leaves nothing behind
view.py           the container's own file system: what it shows is there, everything else isn't
image_view.py     an image's own file system in the place of this machine's
image_program.py  the start of a program in it
system.py         which of this machine's files every container sees
privileges.py     the end of every privilege: mounts that can't be undone, no capability, no new one
landlock.py       the second fence, which needs no privilege
seccomp.py        calls that no container may make, as in Docker
network.py        private networks, which several containers may share
network_sockets.py  sockets inside them, made for the server
options.py        a container's command line
processes.py      what a first process does for the others: signals passed on, orphans ended
functions.py      what the process of a Lambda function sees
linux.py          the kernel's calls that Python has no name for

Standard library only, and little of it: this stands in front of every job and every function.
"""
