"""The only package that imports comfy. Its rooms, each allowed to use those above it:

models, progress, gradients     ground floor: the grid of a loaded model, progress bars, torch's gradients through the host
scoring/                        scoring models and their files
guidance/                       groups on a model: the perturbed pass, prefix reuse, the guider
generation/                     prompts, and pictures of head sets
attribution/                    gradients of a score by the heads
hunting/                        evaluating candidates, hunts, the atlas, studies; hunting/workers/: the same on Ray
server/                         routes, what ships, userdata
"""
