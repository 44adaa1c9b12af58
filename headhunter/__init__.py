"""HeadHunter's engine: head-selective perturbation guidance (arXiv 2506.10978). Plain torch; only `host` imports comfy."""
