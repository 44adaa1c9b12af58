"""Jobs done by workers on Ray (https://docs.ray.io): other GPUs and machines that run the same part of the user's graph.

plan       what a workers node says, and whether Ray is there
graph      the part of the user's graph that leads to a node's inputs
actor      what Ray starts: a ComfyUI without a server page, in a process of its own
inside     what happens in that process: run the graph, show who one is, do jobs
returned   what comes back, checked before it is written
crew       the one who hunts: hands out jobs, takes what comes, goes on without a worker that is gone

Ray is imported only where a workers node is used (`plan.ray_module`), and never installed from here.
"""
