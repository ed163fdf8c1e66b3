"""Confinement: the operating system keeps an agent's code from everything but the line to its host.

    host ─► entry ─► bubblewrap ─► child ─► limits ─► Landlock ─► seccomp ─► the agent's code
            user     all other     checks what came before it, applies the rest,
            namespace namespaces   and begins to serve the line only then

    layers      which there are; what a confined process may have; the plan that `entry` and `child` are given
    view        which files it sees;  command  the command line of bubblewrap
    entry       the first process: a user namespace with nobody's rights outside
    child       the process of the agent's code: each layer applied, and checked, or it does not start
    limits, landlock, seccomp, syscalls   one layer each, by the kernel's own interface;  kernel  its calls
    trial       whether this machine can confine, found out by doing it

Each layer is there for the day on which another one has a hole. What does not belong here: what is said on the
line (`runtime.frames`), and whose code is confined, which policies say.
"""
